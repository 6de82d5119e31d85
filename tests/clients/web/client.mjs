// Calls Pledgebook over gRPC-Web as a page does: connect-web's transport and fetch.
//
// There is no generated code: the services are read from descriptor sets that buf built.
// Usage: node client.mjs URL KEY PLEDGEBOOK.binpb ERROR_DETAILS.binpb

import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { readFileSync } from "node:fs";

import { createFileRegistry, createRegistry, fromBinary } from "@bufbuild/protobuf";
import { FileDescriptorSetSchema, timestampFromDate } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError, createClient } from "@connectrpc/connect";
import { createGrpcWebTransport } from "@connectrpc/connect-web";

const [baseUrl, key, ...descriptorSets] = process.argv.slice(2);

const registry = createRegistry(
  ...descriptorSets.map((path) =>
    createFileRegistry(fromBinary(FileDescriptorSetSchema, readFileSync(path))),
  ),
);
const authorize = (next) => (request) => {
  request.header.set("authorization", `Bearer ${key}`);
  return next(request);
};
const transport = createGrpcWebTransport({
  baseUrl,
  interceptors: [authorize],
  defaultTimeoutMs: 30_000,
});

/** What the registry has by a name. */
function described(kind, name) {
  const found = registry.get(name);
  assert.equal(found?.kind, kind, `${name} is no ${kind}`);
  return found;
}

const service = (name) =>
  createClient(described("service", `pledgebook.v1.${name}`), transport);

/** The number of an enum's value. */
function number(enumeration, value) {
  const { values } = described("enum", `pledgebook.v1.${enumeration}`);
  const found = values.find(({ name }) => name === value);
  assert.ok(found, `${enumeration} has no ${value}`);
  return found.number;
}

/** Throws where the service says anything else. */
function expect(what, found, expected) {
  assert.deepEqual(found, expected, what);
  const shown = (_, value) => (typeof value === "bigint" ? String(value) : value);
  console.log(`  ${what}: ${JSON.stringify(found, shown)}`);
}

// Yen have no decimals.
const yen = (amount) => ({ currencyCode: "JPY", amount });
const text = (money) => (money ? `${money.currencyCode} ${money.amount}` : "");
const campaigns = service("CampaignService");
const pledges = service("PledgeService");
const reports = service("ReportService");

/** Makes a campaign and leads it to the stage in which it takes money. */
async function openCampaign() {
  const made = await campaigns.createCampaign({
    requestId: randomUUID(),
    displayName: "A bathhouse, bought from a page",
    currencyCode: "JPY",
    terms: {
      target: yen("2000000"),
      minimum: yen("1000000"),
      maximum: yen("3000000"),
      deadline: timestampFromDate(new Date(Date.now() + 30 * 24 * 3_600_000)),
      feeBearer: number("FeeBearer", "FEE_BEARER_MEMBERS_DISCLOSED"),
      feeBearerNote: "Up to 3 % of what was paid",
    },
  });
  const { name } = made.campaign;
  await campaigns.startGathering({ requestId: randomUUID(), name });
  await campaigns.startPledging({ requestId: randomUUID(), name });
  const opened = await campaigns.openCampaign({ requestId: randomUUID(), name });
  expect(
    "the campaign is open",
    opened.campaign.stage === number("CampaignStage", "CAMPAIGN_STAGE_OPEN"),
    true,
  );
  return name;
}

/** Makes a member with a pledge; asks for the pledge twice. */
async function pledge(campaign) {
  const made = await service("MemberService").createMember({
    requestId: randomUUID(),
    campaign,
    displayName: "山本 春",
    email: "haru@example.org",
  });
  expect("the member's name comes back", made.member.displayName, "山本 春");
  const request = {
    requestId: randomUUID(),
    member: made.member.name,
    promise: { case: "amount", value: yen("250000") },
  };
  const first = await pledges.createPledge(request);
  expect("the pledge is new", first.outcome.replayed, false);
  const again = await pledges.createPledge(request);
  expect("the same request is replayed", again.outcome.replayed, true);
  expect("its pledge is the same", again.pledge.name === first.pledge.name, true);
  expect("its change is the same", again.outcome.changeNumber, first.outcome.changeNumber);
  return { member: made.member.name, pledge: first.pledge.name };
}

/** Pays a part at the bank, and reads what became of it. */
async function pay(campaign, pledge) {
  const payments = service("PaymentService");
  const registered = await payments.registerBankAccount({
    requestId: randomUUID(),
    campaign,
    institution: "yokohama",
    externalId: randomUUID(),
  });
  const received = await payments.recordBankReceipt({
    requestId: randomUUID(),
    moneyAccount: registered.moneyAccount.name,
    objectId: "transfer 1",
    gross: yen("100000"),
    payer: { case: "pledge", value: pledge },
  });
  expect("the receipt is held", text(received.payment.held), "JPY 100000");
}

/** Compares two reports with what was promised and paid. */
async function read(campaign) {
  const progress = await reports.getCampaignProgress({ campaign });
  const rung = (name) => {
    const of = number("CertaintyRung", `CERTAINTY_RUNG_${name}`);
    const row = progress.rows.find((candidate) => candidate.rung === of);
    return [row.members, text(row.amount), row.minimumBasisPoints];
  };
  expect("the rung PLEDGED", rung("PLEDGED"), [1n, "JPY 250000", 2_500n]);
  expect("the rung CAPTURED", rung("CAPTURED"), [1n, "JPY 100000", 1_000n]);

  const balance = await reports.getTrialBalance({ campaign });
  const closing = Object.fromEntries(
    balance.rows.map((row) => [row.code, [text(row.closingDebit), text(row.closingCredit)]]),
  );
  expect("the closing balance of 1100", closing["1100"], ["JPY 100000", ""]);
  expect("the closing balance of 2100", closing["2100"], ["", "JPY 100000"]);
  expect("the closing balance of 9000", closing["9000"], ["JPY 150000", ""]);
  expect("the closing balance of 9001", closing["9001"], ["", "JPY 150000"]);
}

/** Promises a hundredth of a yen. */
async function beRefused(member) {
  const promise = { case: "amount", value: yen("250000.01") };
  const refused = await pledges
    .createPledge({ requestId: randomUUID(), member, promise })
    .then(() => assert.fail("a hundredth of a yen was taken"), ConnectError.from);
  expect("the refusal's code", Code[refused.code], "InvalidArgument");
  const [info] = refused.findDetails(described("message", "google.rpc.ErrorInfo"));
  assert.ok(info, "no ErrorInfo came along");
  expect("its domain", info.domain, "pledgebook");
  expect("its reason", info.reason, "AMOUNT_TOO_PRECISE");
  const [request] = refused.findDetails(described("message", "google.rpc.BadRequest"));
  const fields = request?.fieldViolations.map(({ field }) => field);
  expect("the field that is wrong", fields, ["amount.amount"]);
}

const campaign = await openCampaign();
const made = await pledge(campaign);
await pay(campaign, made.pledge);
await read(campaign);
await beRefused(made.member);
