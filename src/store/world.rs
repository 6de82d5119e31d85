//! Reading the rows that a batch of commands needs.
//!
//! At most twelve statements a batch, whatever its size, and each only when the
//! batch needs something of the kind. They run after the head's lock, so they
//! see everything that was committed before it.

use sqlx::{Postgres, QueryBuilder};
use uuid::Uuid;

use super::{Store, StoreError, Tx, answer};
use crate::{
    domain::{
        AccountRow, ChangeRow, EffectKey, EffectRow, EntryRow, Head, Needs, Tally, World,
        campaign::{Campaign, FeeBearer, Stage, Terms},
        member::{Member, Signature, SignatureState},
        payment::{Channel, Method, MoneyAccount, Payment, PaymentState},
        pledge::{Pledge, PledgeState, RETRY_PERIOD},
        share::ShareClass,
    },
    id::{
        CampaignId, MemberId, MoneyAccountId, PaymentId, PledgeId, RequestId, ShareClassId,
        SignatureId,
    },
    ledger::{AccountKey, Balance, Code},
    money::Amount,
};

type Read<T> = Result<T, StoreError>;

impl Store {
    /// Makes sure that a campaign's head row is there, so that its first command
    /// has something to lock. A head without a campaign means nothing.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn head_ensure(&self, campaign: CampaignId) -> Read<()> {
        let insert = sqlx::query!(
            "INSERT INTO campaign_head (campaign_id) VALUES ($1) ON CONFLICT DO NOTHING",
            campaign.0
        );
        insert.execute(&self.pool).await?;
        Ok(())
    }
}

/// Locks a campaign's head row: from here to the commit nobody else changes the
/// campaign. Nothing when there is no such campaign.
pub(crate) async fn lock_in_tx(tx: &mut Tx, campaign: CampaignId) -> Read<Option<Head>> {
    let row = sqlx::query!(
        r#"SELECT change_no, entry_no, account_no, digest,
                  NULLIF(recorded_at, '-infinity') AS "recorded_at?"
           FROM campaign_head WHERE campaign_id = $1 FOR NO KEY UPDATE"#,
        campaign.0
    );
    let Some(row) = row.fetch_optional(&mut **tx).await? else {
        return Ok(None);
    };
    Ok(Some(Head {
        change: row.change_no,
        entry: row.entry_no,
        account: row.account_no,
        recorded_at: row.recorded_at,
        digest: digest(row.digest)?,
    }))
}

/// Reads a campaign's head row without locking it, for a preview.
pub(crate) async fn head_in_tx(tx: &mut Tx, campaign: CampaignId) -> Read<Option<Head>> {
    let row = sqlx::query!(
        r#"SELECT change_no, entry_no, account_no, digest,
                  NULLIF(recorded_at, '-infinity') AS "recorded_at?"
           FROM campaign_head WHERE campaign_id = $1"#,
        campaign.0
    );
    let Some(row) = row.fetch_optional(&mut **tx).await? else {
        return Ok(None);
    };
    Ok(Some(Head {
        change: row.change_no,
        entry: row.entry_no,
        account: row.account_no,
        recorded_at: row.recorded_at,
        digest: digest(row.digest)?,
    }))
}

/// Reads what `needs` asks for.
pub(crate) async fn read_in_tx(
    tx: &mut Tx,
    id: CampaignId,
    head: Head,
    needs: &Needs,
    now: time::OffsetDateTime,
) -> Read<World> {
    let mut world = World::new(id, head);
    requests(tx, &mut world, &needs.requests).await?;
    campaign(tx, &mut world).await?;
    if world.campaign.is_none() {
        return Ok(world);
    }
    entries(tx, &mut world, needs).await?;
    payments(tx, &mut world, needs).await?;
    pledges(tx, &mut world, needs, now).await?;
    members(tx, &mut world, needs).await?;
    signatures(tx, &mut world, needs).await?;
    effects(tx, &mut world, needs).await?;
    registrations(tx, &mut world, needs).await?;
    accounts(tx, &mut world).await?;
    Ok(world)
}

async fn requests(tx: &mut Tx, world: &mut World, ids: &[RequestId]) -> Read<()> {
    let ids: Vec<Uuid> = ids.iter().map(|id| id.0).collect();
    let rows = sqlx::query!(
        r#"SELECT change_no, request_id, method, principal, fields, recorded_at,
                  first_entry_no, last_entry_no, same_as_change_no, refusal::text AS "refusal?"
           FROM change WHERE campaign_id = $1 AND request_id = ANY($2)"#,
        world.id.0,
        &ids
    );
    for row in rows.fetch_all(&mut **tx).await? {
        let request_id = RequestId(row.request_id);
        let row = ChangeRow {
            number: row.change_no,
            request_id,
            method: row.method,
            principal: row.principal,
            fields: row.fields,
            recorded_at: row.recorded_at,
            entries: row.first_entry_no.zip(row.last_entry_no),
            same_as: row.same_as_change_no,
            refusal: row.refusal.map(|json| answer::refusal(&json)).transpose()?,
        };
        world.requests.insert(request_id, row);
    }
    Ok(())
}

async fn campaign(tx: &mut Tx, world: &mut World) -> Read<()> {
    let Some((campaign, tally)) = campaign_of(tx, world.id).await? else {
        return Ok(());
    };
    world.campaign = Some(campaign);
    world.tally = tally;
    Ok(())
}

/// A campaign with its terms, share classes and accounts, and its tally.
pub(super) async fn campaign_of(tx: &mut Tx, id: CampaignId) -> Read<Option<(Campaign, Tally)>> {
    let row = sqlx::query!(
        "SELECT campaign.display_name, description, currency, stage, created_at, opened_at,
                changed_by, version, target, minimum, maximum, deadline, minimum_members,
                fee_bearer, fee_bearer_note, card_clearing_days, direct_debit_clearing_days,
                bank_transfer_clearing_days, signed, withdrawn, converted, pledging_members,
                pledged, paying_members, held, payments, failures
         FROM campaign
         JOIN terms ON terms.campaign_id = campaign.campaign_id AND version = terms_version
         JOIN tally ON tally.campaign_id = campaign.campaign_id
         WHERE campaign.campaign_id = $1",
        id.0
    );
    let Some(row) = row.fetch_optional(&mut **tx).await? else {
        return Ok(None);
    };
    let unreadable = |what| StoreError::unreadable(what, id);
    let campaign = Campaign {
        id,
        display_name: row.display_name,
        description: row.description,
        currency: row.currency.parse().map_err(|_| unreadable("currency"))?,
        stage: Stage::of_word(&row.stage).ok_or_else(|| unreadable("stage"))?,
        terms: Terms {
            version: row.version,
            target: Amount::of_units(row.target),
            minimum: Amount::of_units(row.minimum),
            maximum: Amount::of_units(row.maximum),
            deadline: row.deadline,
            minimum_members: row.minimum_members,
            fee_bearer: FeeBearer::of_word(&row.fee_bearer)
                .ok_or_else(|| unreadable("fee bearer"))?,
            fee_bearer_note: row.fee_bearer_note,
            card_clearing_days: row.card_clearing_days,
            direct_debit_clearing_days: row.direct_debit_clearing_days,
            bank_transfer_clearing_days: row.bank_transfer_clearing_days,
        },
        share_classes: share_classes(tx, id).await?,
        created_at: row.created_at,
        opened_at: row.opened_at,
        changed_by: row.changed_by,
        money_accounts: money_accounts(tx, id).await?,
    };
    let tally = Tally {
        signed: row.signed,
        withdrawn: row.withdrawn,
        converted: row.converted,
        pledging_members: row.pledging_members,
        pledged: Amount::of_units(row.pledged),
        paying_members: row.paying_members,
        held: Amount::of_units(row.held),
        payments: row.payments,
        failures: row.failures,
    };
    Ok(Some((campaign, tally)))
}

async fn share_classes(tx: &mut Tx, id: CampaignId) -> Read<Vec<ShareClass>> {
    let rows = sqlx::query!(
        "SELECT share_class_id, display_name, price, nominal, authorised, minimum_per_member,
                maximum_per_member, liability
         FROM share_class WHERE campaign_id = $1 ORDER BY share_class_id",
        id.0
    );
    let rows = rows.fetch_all(&mut **tx).await?.into_iter();
    Ok(rows
        .map(|row| ShareClass {
            id: ShareClassId(row.share_class_id),
            display_name: row.display_name,
            price: Amount::of_units(row.price),
            nominal: Amount::of_units(row.nominal),
            authorised: row.authorised,
            minimum_per_member: row.minimum_per_member,
            maximum_per_member: row.maximum_per_member,
            liability: row.liability,
        })
        .collect())
}

async fn money_accounts(tx: &mut Tx, id: CampaignId) -> Read<Vec<MoneyAccount>> {
    let rows = sqlx::query!(
        "SELECT money_account_id, kind, institution, external_id, currency, livemode
         FROM money_account WHERE campaign_id = $1 ORDER BY money_account_id",
        id.0
    );
    let rows = rows.fetch_all(&mut **tx).await?.into_iter();
    rows.map(|row| {
        let unreadable = || StoreError::unreadable("money account", row.money_account_id);
        Ok(MoneyAccount {
            id: MoneyAccountId(row.money_account_id),
            channel: Channel::of_word(&row.kind).ok_or_else(unreadable)?,
            institution: row.institution,
            external_id: row.external_id,
            currency: row.currency.parse().map_err(|_| unreadable())?,
            livemode: row.livemode,
        })
    })
    .collect()
}

async fn entries(tx: &mut Tx, world: &mut World, needs: &Needs) -> Read<()> {
    for &number in &needs.entries {
        let Some(posted) = answer::entry(tx, world.id, number).await? else {
            continue;
        };
        let reversed_by = sqlx::query_scalar!(
            "SELECT entry_no FROM journal_entry WHERE campaign_id = $1 AND reverses = $2",
            world.id.0,
            number
        );
        let row = EntryRow {
            entry: posted.entry,
            reversed_by: reversed_by.fetch_optional(&mut **tx).await?,
        };
        world.entries.insert(number, row);
    }
    Ok(())
}

/// The columns of `payment`, in the order in which [`PaymentRow`] has them.
#[derive(sqlx::FromRow)]
struct PaymentRow {
    payment_id: Uuid,
    money_account_id: Uuid,
    object_id: String,
    state: String,
    method: String,
    gross: i64,
    held: i64,
    refundable: i64,
    unallocated: i64,
    fee: i64,
    fee_known: bool,
    fee_deferred: i64,
    member_id: Option<Uuid>,
    pledge_id: Option<Uuid>,
    occurred_at: time::OffsetDateTime,
    value_date: time::Date,
    available_on: time::Date,
    failure_code: String,
    entry_no: i64,
}

impl TryFrom<PaymentRow> for Payment {
    type Error = StoreError;

    fn try_from(row: PaymentRow) -> Read<Self> {
        let unreadable = || StoreError::unreadable("payment", row.payment_id);
        Ok(Self {
            id: PaymentId(row.payment_id),
            account: MoneyAccountId(row.money_account_id),
            object_id: row.object_id,
            state: PaymentState::of_word(&row.state).ok_or_else(unreadable)?,
            method: Method::of_word(&row.method).ok_or_else(unreadable)?,
            gross: Amount::of_units(row.gross),
            held: Amount::of_units(row.held),
            refundable: Amount::of_units(row.refundable),
            unallocated: Amount::of_units(row.unallocated),
            fee: Amount::of_units(row.fee),
            fee_known: row.fee_known,
            fee_deferred: Amount::of_units(row.fee_deferred),
            member: row.member_id.map(MemberId),
            pledge: row.pledge_id.map(PledgeId),
            occurred_at: row.occurred_at,
            value_date: row.value_date,
            available_on: row.available_on,
            failure_code: row.failure_code,
            entry: row.entry_no,
        })
    }
}

const PAYMENT: &str = "SELECT payment_id, money_account_id, object_id, state, method, gross, held,
    refundable, unallocated, fee, fee_known, fee_deferred, member_id, pledge_id, occurred_at,
    value_date, available_on, failure_code, entry_no FROM payment WHERE campaign_id = ";

/// Payments that the rest of a statement picks.
pub(super) async fn payments_where(
    tx: &mut Tx,
    id: CampaignId,
    rest: impl FnOnce(&mut QueryBuilder<Postgres>),
) -> Read<Vec<Payment>> {
    let mut query = QueryBuilder::new(PAYMENT);
    query.push_bind(id.0);
    rest(&mut query);
    let rows: Vec<PaymentRow> = query.build_query_as().fetch_all(&mut **tx).await?;
    rows.into_iter().map(Payment::try_from).collect()
}

async fn payments(tx: &mut Tx, world: &mut World, needs: &Needs) -> Read<()> {
    let named = world.entries.values().flat_map(|row| row.entry.lines());
    let named = named.filter_map(|line| line.payment).map(|id| id.0);
    let ids: Vec<Uuid> = needs.payments.iter().map(|id| id.0).chain(named).collect();
    if !ids.is_empty() {
        let found = payments_where(tx, world.id, |query| {
            query
                .push(" AND payment_id = ANY(")
                .push_bind(ids)
                .push(")");
        });
        for payment in found.await? {
            world.put_payment(payment);
        }
    }
    if !needs.movements.is_empty() {
        let (accounts, objects) = movements(needs);
        let found = payments_where(tx, world.id, |query| {
            query
                .push(" AND (money_account_id, object_id) IN (SELECT * FROM unnest(")
                .push_bind(accounts)
                .push("::uuid[], ")
                .push_bind(objects)
                .push("::text[]))");
        });
        for payment in found.await? {
            world.put_payment(payment);
        }
    }
    Ok(())
}

fn movements(needs: &Needs) -> (Vec<Uuid>, Vec<String>) {
    let movements = needs.movements.iter();
    movements
        .map(|(account, object)| (account.0, object.clone()))
        .unzip()
}

#[derive(sqlx::FromRow)]
struct PledgeRow {
    pledge_id: Uuid,
    member_id: Uuid,
    state: String,
    amount: i64,
    paid: i64,
    share_class_id: Option<Uuid>,
    units: i64,
    created_at: time::OffsetDateTime,
    expires_at: time::OffsetDateTime,
    errored_at: Option<time::OffsetDateTime>,
    terms_version: i32,
}

impl TryFrom<PledgeRow> for Pledge {
    type Error = StoreError;

    fn try_from(row: PledgeRow) -> Read<Self> {
        let unreadable = || StoreError::unreadable("pledge", row.pledge_id);
        Ok(Self {
            id: PledgeId(row.pledge_id),
            member: MemberId(row.member_id),
            state: PledgeState::of_word(&row.state).ok_or_else(unreadable)?,
            amount: Amount::of_units(row.amount),
            paid: Amount::of_units(row.paid),
            share_class: row.share_class_id.map(ShareClassId),
            units: row.units,
            created_at: row.created_at,
            expires_at: row.expires_at,
            errored_at: row.errored_at,
            terms_version: row.terms_version,
        })
    }
}

const PLEDGE: &str = "SELECT pledge_id, member_id, state, amount, paid, share_class_id, units,
    created_at, expires_at, errored_at, terms_version FROM pledge WHERE campaign_id = ";

/// Pledges that the rest of a statement picks.
pub(super) async fn pledges_where(
    tx: &mut Tx,
    id: CampaignId,
    rest: impl FnOnce(&mut QueryBuilder<Postgres>),
) -> Read<Vec<Pledge>> {
    let mut query = QueryBuilder::new(PLEDGE);
    query.push_bind(id.0);
    rest(&mut query);
    let rows: Vec<PledgeRow> = query.build_query_as().fetch_all(&mut **tx).await?;
    rows.into_iter().map(Pledge::try_from).collect()
}

async fn pledges(
    tx: &mut Tx,
    world: &mut World,
    needs: &Needs,
    now: time::OffsetDateTime,
) -> Read<()> {
    let of_payments = world.payments.values().filter_map(|payment| payment.pledge);
    let ids = needs.pledges.iter().copied().chain(of_payments);
    let ids: Vec<Uuid> = ids.map(|id| id.0).collect();
    if !ids.is_empty() {
        let found = pledges_where(tx, world.id, |query| {
            query.push(" AND pledge_id = ANY(").push_bind(ids).push(")");
        });
        let found = found.await?.into_iter();
        world
            .pledges
            .extend(found.map(|pledge| (pledge.id, pledge)));
    }
    if needs.run_out > 0 {
        let found = pledges_where(tx, world.id, |query| {
            query
                .push(" AND state IN ('committed', 'part_paid', 'errored') AND (expires_at <= ")
                .push_bind(now)
                .push(" OR (state = 'errored' AND errored_at <= ")
                .push_bind(now - RETRY_PERIOD)
                .push(")) ORDER BY pledge_id LIMIT ")
                .push_bind(needs.run_out);
        });
        let found = found.await?.into_iter();
        world
            .pledges
            .extend(found.map(|pledge| (pledge.id, pledge)));
    }
    Ok(())
}

async fn members(tx: &mut Tx, world: &mut World, needs: &Needs) -> Read<()> {
    let of_pledges = world.pledges.values().map(|pledge| pledge.member);
    let of_payments = world.payments.values().filter_map(|payment| payment.member);
    let ids = needs
        .members
        .iter()
        .copied()
        .chain(of_pledges)
        .chain(of_payments);
    let ids: Vec<Uuid> = ids.map(|id| id.0).collect();
    let emails: Vec<Vec<u8>> = needs.emails.iter().map(|hash| hash.to_vec()).collect();
    if ids.is_empty() && emails.is_empty() {
        return Ok(());
    }
    let rows = sqlx::query!(
        "SELECT member_id, email_hash, created_at, live_pledges FROM member
         WHERE campaign_id = $1 AND member_id = ANY($2)
         UNION
         SELECT member_id, email_hash, created_at, live_pledges FROM member
         WHERE campaign_id = $1 AND email_hash = ANY($3)",
        world.id.0,
        &ids,
        &emails
    );
    for row in rows.fetch_all(&mut **tx).await? {
        let (Some(id), Some(hash), Some(created_at), Some(live_pledges)) = (
            row.member_id,
            row.email_hash,
            row.created_at,
            row.live_pledges,
        ) else {
            return Err(StoreError::unreadable("member", row.member_id));
        };
        world.put_member(Member {
            id: MemberId(id),
            email_hash: digest(hash)?,
            created_at,
            live_pledges,
        });
    }
    Ok(())
}

async fn signatures(tx: &mut Tx, world: &mut World, needs: &Needs) -> Read<()> {
    let ids: Vec<Uuid> = needs.signatures.iter().map(|id| id.0).collect();
    // Whoever pledges converts a signature of the same address.
    let of_members = world.members.values().map(|member| member.email_hash);
    let emails = needs.emails.iter().copied().chain(of_members);
    let emails: Vec<Vec<u8>> = emails.map(|hash| hash.to_vec()).collect();
    if ids.is_empty() && emails.is_empty() {
        return Ok(());
    }
    let rows = sqlx::query!(
        "SELECT signature_id, email_hash, state, created_at FROM signature
         WHERE campaign_id = $1 AND signature_id = ANY($2)
         UNION
         SELECT signature_id, email_hash, state, created_at FROM signature
         WHERE campaign_id = $1 AND email_hash = ANY($3)",
        world.id.0,
        &ids,
        &emails
    );
    for row in rows.fetch_all(&mut **tx).await? {
        let state = row.state.as_deref().and_then(SignatureState::of_word);
        let (Some(id), Some(hash), Some(state), Some(created_at)) =
            (row.signature_id, row.email_hash, state, row.created_at)
        else {
            return Err(StoreError::unreadable("signature", row.signature_id));
        };
        world.put_signature(Signature {
            id: SignatureId(id),
            email_hash: digest(hash)?,
            state,
            created_at,
        });
    }
    Ok(())
}

const EFFECTS: [&str; 4] = ["capture", "fee", "failure", "late_failure"];

async fn effects(tx: &mut Tx, world: &mut World, needs: &Needs) -> Read<()> {
    if needs.movements.is_empty() {
        return Ok(());
    }
    // A fee is asked for before its payment's account is known: then any of the
    // campaign's provider accounts may be meant.
    let (mut accounts, mut objects) = (Vec::new(), Vec::new());
    let known: Vec<Uuid> = world
        .campaign
        .iter()
        .flat_map(|c| &c.money_accounts)
        .map(|a| a.id.0)
        .collect();
    for (account, object) in &needs.movements {
        let of = if account.0.is_nil() {
            known.clone()
        } else {
            vec![account.0]
        };
        for account in of {
            accounts.push(account);
            objects.push(object.clone());
        }
    }
    let rows = sqlx::query!(
        "SELECT money_account_id, object_id, effect, seq, amount, payment_id, change_no
         FROM effect WHERE campaign_id = $1
            AND (money_account_id, object_id) IN (SELECT * FROM unnest($2::uuid[], $3::text[]))",
        world.id.0,
        &accounts,
        &objects
    );
    for row in rows.fetch_all(&mut **tx).await? {
        let effect = EFFECTS.into_iter().find(|effect| *effect == row.effect);
        let key = EffectKey {
            account: MoneyAccountId(row.money_account_id),
            object: row.object_id,
            effect: effect.ok_or_else(|| StoreError::unreadable("effect", row.effect))?,
            seq: row.seq,
        };
        let claimed = EffectRow {
            amount: Amount::of_units(row.amount),
            payment: PaymentId(row.payment_id),
            change: row.change_no,
        };
        world.effects.insert(key, claimed);
    }
    Ok(())
}

async fn registrations(tx: &mut Tx, world: &mut World, needs: &Needs) -> Read<()> {
    for (institution, external_id, livemode) in &needs.registrations {
        let taken = sqlx::query_scalar!(
            "SELECT 1 FROM money_account
             WHERE institution = $1 AND external_id = $2 AND livemode = $3",
            institution,
            external_id,
            livemode
        );
        if taken.fetch_optional(&mut **tx).await?.is_some() {
            let registered = (institution.clone(), external_id.clone(), *livemode);
            world.registered.insert(registered);
        }
    }
    Ok(())
}

/// The accounts of everybody whom the batch may touch, and the campaign's own.
async fn accounts(tx: &mut Tx, world: &mut World) -> Read<()> {
    let members = world.members.keys().map(|id| id.0);
    let payments = world.payments.keys().map(|id| id.0);
    let money = world
        .campaign
        .iter()
        .flat_map(|c| &c.money_accounts)
        .map(|a| a.id.0);
    let owners = members.chain(payments).chain(money).chain([Uuid::nil()]);
    let owners: Vec<Uuid> = owners.collect();
    let rows = sqlx::query!(
        "SELECT account_no, code, commodity, owner, balance, debits
         FROM account JOIN balance USING (campaign_id, account_no)
         WHERE campaign_id = $1 AND owner = ANY($2)",
        world.id.0,
        &owners
    );
    for row in rows.fetch_all(&mut **tx).await? {
        let key = account_key(row.code, &row.commodity, row.owner)?;
        let account = AccountRow {
            number: row.account_no,
            balance: Balance {
                net: Amount::of_units(row.balance),
                debits: Amount::of_units(row.debits),
            },
        };
        world.accounts.insert(key, account);
    }
    Ok(())
}

/// The account of its stored parts.
pub(super) fn account_key(code: i16, commodity: &str, owner: Uuid) -> Read<AccountKey> {
    let parts = Code::of_number(code).zip(commodity.parse().ok());
    parts
        .and_then(|(code, commodity)| AccountKey::of_owner_id(code, commodity, owner))
        .ok_or_else(|| StoreError::unreadable("account", (code, commodity, owner)))
}

pub(super) fn digest(bytes: Vec<u8>) -> Read<[u8; 32]> {
    let length = bytes.len();
    bytes
        .try_into()
        .map_err(|_| StoreError::unreadable("hash", length))
}
