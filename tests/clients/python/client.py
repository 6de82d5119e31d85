"""Calls Pledgebook with grpcio and what the service's reflection says of it.

There is no generated code: every message type is fetched from the running service.
Usage: client.py HOST:PORT KEY
"""

import datetime
import sys
import uuid

import grpc
from google.protobuf import descriptor_pool, json_format, message_factory
from google.rpc import error_details_pb2
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import (
    ProtoReflectionDescriptorDatabase,
)
from grpc_status import rpc_status

SECONDS = 30


class Service:
    """The methods of the service, by the names that reflection gives them."""

    def __init__(self, address, key):
        self.channel = grpc.insecure_channel(address)
        self.pool = descriptor_pool.DescriptorPool(
            ProtoReflectionDescriptorDatabase(self.channel)
        )
        self.metadata = [("authorization", f"Bearer {key}")]

    def method(self, name):
        """The method's path and its two message classes."""
        service, _, method = name.partition("/")
        found = self.pool.FindServiceByName(f"pledgebook.v1.{service}")
        method = found.methods_by_name[method]
        classes = (method.input_type, method.output_type)
        path = f"/{found.full_name}/{method.name}"
        return path, *map(message_factory.GetMessageClass, classes)

    def call(self, name, /, **fields):
        """Sends one request."""
        path, request, response = self.method(name)
        send = self.channel.unary_unary(
            path, request.SerializeToString, response.FromString
        )
        message = json_format.ParseDict(fields, request())
        return send(message, metadata=self.metadata, timeout=SECONDS)

    def stream(self, name, messages):
        """Sends many requests over one call and gives every answer."""
        path, request, response = self.method(name)
        send = self.channel.stream_stream(
            path, request.SerializeToString, response.FromString
        )
        parsed = (json_format.ParseDict(fields, request()) for fields in messages)
        return list(send(parsed, metadata=self.metadata, timeout=SECONDS))

    def enum(self, value_type, number):
        """The name of an enum's value."""
        found = self.pool.FindEnumTypeByName(f"pledgebook.v1.{value_type}")
        return found.values_by_number[number].name


def expect(what, found, expected):
    """Ends the program where the service says anything else."""
    if found != expected:
        sys.exit(f"{what}: expected {expected!r}, found {found!r}")
    print(f"  {what}: {found}")


def new_id():
    return str(uuid.uuid4())


def euro(amount):
    return {"currencyCode": "EUR", "amount": amount}


def text(money):
    return f"{money.currency_code} {money.amount}"


def open_campaign(service):
    """Makes a campaign and leads it to the stage in which it takes money."""
    now = datetime.datetime.now(datetime.timezone.utc)
    deadline = now + datetime.timedelta(days=30)
    made = service.call(
        "CampaignService/CreateCampaign",
        requestId=new_id(),
        displayName="A cinema, bought from Python",
        currencyCode="EUR",
        terms={
            "target": euro("2000.00"),
            "minimum": euro("1000.00"),
            "maximum": euro("3000.00"),
            "deadline": deadline.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "feeBearer": "FEE_BEARER_UNDERWRITER",
            "feeBearerNote": "The cinema's friends",
        },
    )
    name = made.campaign.name
    for step in ("StartGathering", "StartPledging", "OpenCampaign"):
        moved = service.call(f"CampaignService/{step}", requestId=new_id(), name=name)
    stage = service.enum("CampaignStage", moved.campaign.stage)
    expect("the campaign's stage", stage, "CAMPAIGN_STAGE_OPEN")
    return name


def pledge(service, campaign):
    """Makes a member with a pledge; asks for the pledge twice."""
    member = service.call(
        "MemberService/CreateMember",
        requestId=new_id(),
        campaign=campaign,
        displayName="Ada Brandt",
        email="ada@example.org",
    ).member.name
    request = {
        "requestId": new_id(),
        "member": member,
        "amount": euro("250.00"),
    }
    first = service.call("PledgeService/CreatePledge", **request)
    expect("the pledge is new", first.outcome.replayed, False)
    again = service.call("PledgeService/CreatePledge", **request)
    expect("the same request is replayed", again.outcome.replayed, True)
    expect("its pledge is the same", again.pledge.name == first.pledge.name, True)
    expect("its change is the same", again.outcome.change_number, first.outcome.change_number)
    return request, first.pledge.name


def pay(service, campaign, pledge_name):
    """Sends a payment twice over one stream."""
    account = service.call(
        "PaymentService/RegisterProviderAccount",
        requestId=new_id(),
        campaign=campaign,
        institution="stripe",
        externalId=f"acct_{uuid.uuid4().hex}",
    ).money_account.name
    payment = {
        "requestId": new_id(),
        "moneyAccount": account,
        "objectId": "ch_python_1",
        "gross": euro("100.00"),
        "pledge": pledge_name,
        "method": "PAYMENT_METHOD_CARD",
    }
    answers = service.stream(
        "PaymentService/RecordPayments", [{"payments": [payment]}, {"payments": [payment]}]
    )
    outcomes = [outcome for answer in answers for outcome in answer.outcomes]
    told = [(o.position, o.WhichOneof("result"), o.recorded.outcome.replayed) for o in outcomes]
    expect("the stream's outcomes", told, [(1, "recorded", False), (2, "recorded", True)])


def read(service, campaign):
    """Compares two reports with what was promised and paid."""
    progress = service.call("ReportService/GetCampaignProgress", campaign=campaign)
    rungs = {
        service.enum("CertaintyRung", row.rung).removeprefix("CERTAINTY_RUNG_"): row
        for row in progress.rows
    }
    for rung, amount, of_minimum in (("PLEDGED", "250.00", 2500), ("CAPTURED", "100.00", 1000)):
        row = rungs[rung]
        found = (row.members, text(row.amount), row.minimum_basis_points)
        expect(f"the rung {rung}", found, (1, f"EUR {amount}", of_minimum))

    balance = service.call("ReportService/GetTrialBalance", campaign=campaign)
    closing = {
        row.code: (row.closing_debit.amount, row.closing_credit.amount) for row in balance.rows
    }
    for code, debit, credit in (
        ("1000", "100.00", ""),
        ("2100", "", "100.00"),
        ("9000", "150.00", ""),
        ("9001", "", "150.00"),
    ):
        expect(f"the closing balance of {code}", closing[code], (debit, credit))
    totals = {
        service.enum("Book", total.book): (text(total.closing_debit), text(total.closing_credit))
        for total in balance.totals
    }
    expect("the total of the money", totals["BOOK_FINANCIAL"], ("EUR 100.00", "EUR 100.00"))
    expect("the total of the promises", totals["BOOK_MEMO"], ("EUR 150.00", "EUR 150.00"))


def be_refused(service, request):
    """Sends an earlier request's id with another amount."""
    try:
        service.call("PledgeService/CreatePledge", **{**request, "amount": euro("251.00")})
    except grpc.RpcError as error:
        expect("the refusal's code", error.code(), grpc.StatusCode.ALREADY_EXISTS)
        info = error_details_pb2.ErrorInfo()
        details = rpc_status.from_call(error).details
        expect("an ErrorInfo comes along", any(detail.Unpack(info) for detail in details), True)
        expect("its domain", info.domain, "pledgebook")
        expect("its reason", info.reason, "REQUEST_ID_REUSED")
        expect("the field that differs", dict(info.metadata), {"field": "amount"})
    else:
        sys.exit("a request id was taken twice, for two different amounts")


def main():
    address, key = sys.argv[1:]
    service = Service(address, key)
    campaign = open_campaign(service)
    request, pledge_name = pledge(service, campaign)
    pay(service, campaign, pledge_name)
    read(service, campaign)
    be_refused(service, request)


if __name__ == "__main__":
    main()
