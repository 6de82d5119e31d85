//! `LedgerService`.

use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status};

use super::{
    Api, ApiError, Call, ends_with_server, envelope,
    fields::{amount_of, date, money, money_of, name, text, timestamp},
    journal,
    page::Pages,
    pb::{self, ledger_service_server::LedgerService},
    status,
};
use crate::{
    app::Written,
    domain::{Action, ManualEntry, ManualLine},
    id::{CampaignId, MemberId},
    ledger::{AccountKey, Code, Owner, Side},
    money::{Amount, Currency},
    report::{AccountView, AsOf, EntryView},
};

/// Entries in one message of a stream.
const BATCH: usize = 500;

/// The most lines of an entry by hand: a command touches a bounded number of rows.
const MANUAL_LINES: usize = 100;

pub(super) fn code(field: &str, text: &str) -> Result<Option<Code>, ApiError> {
    if text.is_empty() {
        return Ok(None);
    }
    let code = text.parse().ok().and_then(Code::of_number);
    code.map(Some)
        .ok_or_else(|| ApiError::field(field, "not a code of the chart"))
}

fn account_of(campaign: CampaignId, view: &AccountView) -> pb::Account {
    let key = &view.key;
    let normal = key.code.normal_side();
    let (mut money_account, mut payment) = (String::new(), String::new());
    match key.owner {
        Owner::Nobody | Owner::Member(_) => {}
        Owner::MoneyAccount(id) => money_account = name(campaign, "moneyAccounts", id),
        Owner::Payment(id) => payment = name(campaign, "payments", id),
    }
    pb::Account {
        name: name(campaign, "accounts", key),
        code: key.code.number().to_string(),
        display_name: key.code.name().to_owned(),
        book: journal::book(key.code.book()),
        normal_side: journal::side(normal),
        balance: Some(amount_of(view.balance.on_side(normal), key.commodity)),
        member: journal::member_of(campaign, key),
        money_account,
        share_class: journal::share_class_of(campaign, key.commodity),
        payment,
    }
}

fn entry_of(campaign: CampaignId, view: &EntryView) -> pb::JournalEntry {
    journal::entry(campaign, &view.posted, view.reversed_by)
}

/// The outcome of a call that posts one entry, and that entry.
fn posted(
    campaign: CampaignId,
    written: &Written,
    validate_only: bool,
) -> (pb::Outcome, Option<pb::JournalEntry>) {
    let outcome = journal::outcome(campaign, written, validate_only);
    let posted = written.answer.entries.first();
    let entry = match validate_only {
        true => outcome.proposed_entries.first().cloned(),
        false => posted.map(|posted| journal::entry(campaign, posted, None)),
    };
    (outcome, entry)
}

fn manual_line(
    call: &Call,
    campaign: CampaignId,
    index: usize,
    line: &pb::ManualLine,
) -> Result<ManualLine, ApiError> {
    let field = |name: &str| format!("lines[{index}].{name}");
    let account = call.of_this(campaign, &field("account"), &line.account, "accounts")?;
    let side = match line.side() {
        pb::Side::Debit => Side::Debit,
        pb::Side::Credit => Side::Credit,
        pb::Side::Unspecified => return Err(ApiError::field(&field("side"), "missing")),
    };
    Ok(ManualLine {
        account: account.ok_or_else(|| ApiError::field(&field("account"), "missing"))?,
        side,
        amount: money(&field("amount"), line.amount.as_ref())?,
    })
}

/// The place of a stream: the last entry of its snapshot, and the last one sent.
fn stream_place(place: &str) -> Option<(i64, i64)> {
    let (upto, after) = place.split_once(' ')?;
    Some((upto.parse().ok()?, after.parse().ok()?))
}

type Batches = mpsc::Sender<Result<pb::StreamEntriesResponse, Status>>;

impl Api {
    /// Sends the entries of one snapshot, batch by batch. Entries never change,
    /// so "up to that number" is the snapshot, however long the reader takes.
    async fn stream(
        &self,
        campaign: CampaignId,
        upto: i64,
        mut after: i64,
        batches: &Batches,
    ) -> Result<(), ApiError> {
        let pages = self.stream_pages(campaign);
        while after < upto {
            let page = self
                .reports
                .entries(campaign, None, after, BATCH, Some(upto))
                .await?;
            let Some(last) = page.rows.last() else {
                break;
            };
            after = last.posted.number;
            let batch = pb::StreamEntriesResponse {
                entries: page
                    .rows
                    .iter()
                    .map(|view| entry_of(campaign, view))
                    .collect(),
                resume_token: pages.token(&format!("{upto} {after}")),
                totals: None,
            };
            if batches.send(Ok(batch)).await.is_err() {
                // The reader is gone.
                return Ok(());
            }
        }
        let head = self.reports.head(campaign, Some(upto)).await?;
        let totals = pb::StreamEntriesResponse {
            entries: Vec::new(),
            resume_token: pages.token(&format!("{upto} {upto}")),
            totals: Some(pb::StreamEntriesTotals {
                entry_count: upto,
                digest: hex::encode(head.digest),
            }),
        };
        let _ = batches.send(Ok(totals)).await;
        Ok(())
    }

    fn stream_pages(&self, campaign: CampaignId) -> Pages<'_> {
        Pages::of(&self.app.secrets, format!("StreamEntries {campaign}"))
    }
}

#[tonic::async_trait]
impl LedgerService for Api {
    type StreamEntriesStream = ReceiverStream<Result<pb::StreamEntriesResponse, Status>>;

    async fn list_accounts(
        &self,
        request: Request<pb::ListAccountsRequest>,
    ) -> Result<Response<pb::ListAccountsResponse>, Status> {
        let (call, message) = Call::of(request)?;
        let campaign = call.campaign("campaign", &message.campaign)?;
        let code = code("code", &message.code)?;
        let member: Option<MemberId> =
            call.of_this(campaign, "member", &message.member, "members")?;
        let list = format!("ListAccounts {campaign} {code:?} {member:?}");
        let pages = Pages::of(&self.app.secrets, list);
        let size = Pages::rows(message.page_size)?;
        let after = pages.read(&message.page_token, |place| {
            place.parse::<AccountKey>().ok()
        })?;
        let page = self
            .reports
            .accounts(campaign, code, member, after, size)
            .await;
        let page = page.map_err(ApiError::from)?;
        Ok(Response::new(pb::ListAccountsResponse {
            accounts: page
                .rows
                .iter()
                .map(|view| account_of(campaign, view))
                .collect(),
            next_page_token: pages.next(page.next),
        }))
    }

    async fn get_balance(
        &self,
        request: Request<pb::GetBalanceRequest>,
    ) -> Result<Response<pb::GetBalanceResponse>, Status> {
        use pb::get_balance_request::AsOf as Wire;
        let (call, message) = Call::of(request)?;
        let (campaign, key): (_, AccountKey) =
            call.of_campaign("account", &message.account, "accounts")?;
        let as_of = match &message.as_of {
            None => AsOf::Now,
            Some(Wire::EntryNumber(number)) => AsOf::Entry(*number),
            Some(Wire::ValueDate(day)) => AsOf::ValueDate(
                date("value_date", day)?.ok_or_else(|| ApiError::field("value_date", "missing"))?,
            ),
        };
        let found = self
            .reports
            .balance(campaign, key, as_of)
            .await
            .map_err(ApiError::from)?;
        let normal = key.code.normal_side();
        let amount = |amount: Amount| Some(amount_of(amount, key.commodity));
        Ok(Response::new(pb::GetBalanceResponse {
            account: message.account,
            balance: amount(found.balance.on_side(normal)),
            debits: amount(found.balance.debits),
            credits: amount(found.balance.credits()),
            normal_side: journal::side(normal),
            entry_number: found.entry_number,
        }))
    }

    async fn get_entry(
        &self,
        request: Request<pb::GetEntryRequest>,
    ) -> Result<Response<pb::GetEntryResponse>, Status> {
        let (call, message) = Call::of(request)?;
        let (campaign, number) = call.of_campaign("name", &message.name, "entries")?;
        let view = self
            .reports
            .entry(campaign, number)
            .await
            .map_err(ApiError::from)?;
        let entry = Some(entry_of(campaign, &view));
        Ok(Response::new(pb::GetEntryResponse { entry }))
    }

    async fn list_entries(
        &self,
        request: Request<pb::ListEntriesRequest>,
    ) -> Result<Response<pb::ListEntriesResponse>, Status> {
        let (call, message) = Call::of(request)?;
        let campaign = call.campaign("campaign", &message.campaign)?;
        let account: Option<AccountKey> =
            call.of_this(campaign, "account", &message.account, "accounts")?;
        let list = format!("ListEntries {campaign} {}", message.account);
        let pages = Pages::of(&self.app.secrets, list);
        let size = Pages::rows(message.page_size)?;
        let after = pages.read(&message.page_token, |place| place.parse().ok())?;
        let page = self
            .reports
            .entries(campaign, account, after.unwrap_or(0), size, None)
            .await;
        let page = page.map_err(ApiError::from)?;
        Ok(Response::new(pb::ListEntriesResponse {
            entries: page
                .rows
                .iter()
                .map(|view| entry_of(campaign, view))
                .collect(),
            next_page_token: pages.next(page.next),
        }))
    }

    async fn stream_entries(
        &self,
        request: Request<pb::StreamEntriesRequest>,
    ) -> Result<Response<Self::StreamEntriesStream>, Status> {
        let (call, message) = Call::of(request)?;
        let campaign = call.campaign("campaign", &message.campaign)?;
        let resumed = self
            .stream_pages(campaign)
            .read(&message.resume_token, stream_place)?;
        let (upto, after) = match resumed {
            Some(place) => place,
            None => (
                self.reports
                    .last_entry(campaign)
                    .await
                    .map_err(ApiError::from)?,
                0,
            ),
        };
        let (batches, stream) = mpsc::channel(2);
        let api = self.clone();
        tokio::spawn(async move {
            let ended = tokio::select! {
                biased;
                () = api.shutdown.cancelled() => Err(status::shutting_down()),
                ended = api.stream(campaign, upto, after, &batches) => ended,
            };
            if let Err(error) = ended {
                let _ = batches.send(Err(error.into())).await;
            }
        });
        Ok(ends_with_server(ReceiverStream::new(stream)))
    }

    async fn post_entry(
        &self,
        request: Request<pb::PostEntryRequest>,
    ) -> Result<Response<pb::PostEntryResponse>, Status> {
        let (call, message) = Call::of(request)?;
        let campaign = call.campaign("campaign", &message.campaign)?;
        if !(2..=MANUAL_LINES).contains(&message.lines.len()) {
            let problem = format!("from 2 to {MANUAL_LINES} lines");
            return Err(ApiError::field("lines", problem).into());
        }
        let lines = message.lines.iter().enumerate();
        let lines = lines.map(|(index, line)| manual_line(&call, campaign, index, line));
        let action = Action::PostEntry(ManualEntry {
            lines: lines.collect::<Result<_, _>>()?,
            occurred_at: timestamp("occurred_at", message.occurred_at.as_ref())?,
            value_date: date("value_date", &message.value_date)?,
            reason: text("reason", &message.reason, 1, 1_000)?,
        });
        let envelope = envelope!("PostEntry", message);
        let written = self.write(&call, campaign, &envelope, action).await?;
        let (outcome, entry) = posted(campaign, &written, message.validate_only);
        Ok(Response::new(pb::PostEntryResponse {
            outcome: Some(outcome),
            entry,
        }))
    }

    async fn reverse_entry(
        &self,
        request: Request<pb::ReverseEntryRequest>,
    ) -> Result<Response<pb::ReverseEntryResponse>, Status> {
        let (call, message) = Call::of(request)?;
        let (campaign, number) = call.of_campaign("name", &message.name, "entries")?;
        let action = Action::ReverseEntry {
            number,
            reason: text("reason", &message.reason, 1, 1_000)?,
        };
        let envelope = envelope!("ReverseEntry", message);
        let written = self.write(&call, campaign, &envelope, action).await?;
        let (outcome, entry) = posted(campaign, &written, message.validate_only);
        Ok(Response::new(pb::ReverseEntryResponse {
            outcome: Some(outcome),
            entry,
        }))
    }

    async fn check_campaign(
        &self,
        request: Request<pb::CheckCampaignRequest>,
    ) -> Result<Response<pb::CheckCampaignResponse>, Status> {
        let (call, message) = Call::of(request)?;
        let campaign = call.campaign("campaign", &message.campaign)?;
        let found = self.reports.check(campaign).await.map_err(ApiError::from)?;
        let difference = |difference: crate::report::Difference| pb::Difference {
            rule: difference.rule.to_owned(),
            subject: difference.subject,
            stored: difference.stored,
            expected: difference.expected,
        };
        Ok(Response::new(pb::CheckCampaignResponse {
            entry_number: found.entry_number,
            change_number: found.change_number,
            differences: found.differences.into_iter().map(difference).collect(),
            rules: found.rules.into_iter().map(str::to_owned).collect(),
        }))
    }

    async fn list_currencies(
        &self,
        _request: Request<pb::ListCurrenciesRequest>,
    ) -> Result<Response<pb::ListCurrenciesResponse>, Status> {
        let currency = |currency: Currency| pb::Currency {
            currency_code: currency.code().to_owned(),
            decimals: i32::try_from(currency.decimals()).unwrap_or(0),
            smallest: Some(money_of(Amount::of_units(1), currency)),
        };
        Ok(Response::new(pb::ListCurrenciesResponse {
            currencies: Currency::all().map(currency).collect(),
        }))
    }
}
