//! Who calls, and what each role may call: one guard around all services that
//! knows every method. What it does not know it denies.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use http::{HeaderMap, Request, Response};
use tokio::{sync::OnceCell, time::Instant};
use tonic::Status;

use super::{ApiError, DEADLINE_MARGIN, status};
use crate::{
    access::{ApiKey, KeySecret, Role},
    book::BookError,
    id::CampaignId,
    store::Store,
};

/// Who calls.
#[derive(Clone, Debug)]
pub struct Caller {
    /// As the journal keeps it: `key:{id}`, or `anonymous`.
    pub principal: String,
    /// What the caller may do; nothing for anonymous callers.
    pub role: Option<Role>,
    /// The one campaign that the caller may see; nothing for all.
    pub campaign: Option<CampaignId>,
    /// The hash of the key's secret, to look it up again; nothing for anonymous callers.
    key: Option<[u8; 32]>,
}

/// What the layers know of a call.
#[derive(Clone, Debug)]
pub struct Call {
    /// Who calls.
    pub caller: Caller,
    /// When the caller stops waiting.
    pub deadline: Option<Instant>,
}

impl Call {
    /// The call of a request, as the guard has left it there.
    pub(super) fn of<M>(request: tonic::Request<M>) -> Result<(Self, M), ApiError> {
        let (_, mut extensions, message) = request.into_parts();
        // Without a guard in front nobody is known, so nobody may.
        let call = extensions
            .remove::<Self>()
            .ok_or(ApiError::Unauthenticated)?;
        Ok((call, message))
    }

    /// Refuses a campaign that the caller may not know of, as if there were none.
    pub(super) fn must_see(&self, campaign: CampaignId) -> Result<CampaignId, ApiError> {
        match self.caller.campaign {
            Some(only) if only != campaign => Err(BookError::CampaignNotFound.into()),
            _ => Ok(campaign),
        }
    }

    /// Refuses a caller whose key was revoked since the call began: a stream may
    /// last longer than its key. Asked by many streams of one key, the database is
    /// asked once per [`KEY_MEMORY`].
    pub(super) async fn must_stand(&self, guard: &Guard) -> Result<(), ApiError> {
        let Some(key) = self.caller.key else {
            return Ok(());
        };
        must_be_good(guard.look_up(key).await?).map(drop)
    }
}

fn must_be_good(key: Option<ApiKey>) -> Result<ApiKey, ApiError> {
    key.filter(|key| key.revoked_at.is_none())
        .ok_or(ApiError::Unauthenticated)
}

/// Who may call a method.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Policy {
    /// Everybody, without a key.
    Anybody,
    /// These roles.
    Roles(&'static [Role]),
}

use Role::{Admin, Auditor, FrontEnd, Treasurer, Webhook};

const RUNS: Policy = Policy::Roles(&[Treasurer, Admin]);
const ENTERS: Policy = Policy::Roles(&[FrontEnd, Treasurer, Admin]);
const BRIDGES: Policy = Policy::Roles(&[Webhook, Treasurer, Admin]);
const READS: Policy = Policy::Roles(&[Treasurer, Auditor, Admin]);
const SEES: Policy = Policy::Roles(&[FrontEnd, Treasurer, Auditor, Admin]);
const KNOWS_MONEY: Policy = Policy::Roles(&[Webhook, Treasurer, Auditor, Admin]);
const KNOWS: Policy = Policy::Roles(&[FrontEnd, Webhook, Treasurer, Auditor, Admin]);
const ADMINISTERS: Policy = Policy::Roles(&[Admin]);

/// Who may call a method of ours, by its path. A method that is not here is
/// denied, and fails a test.
fn policy(path: &str) -> Option<Policy> {
    let method = path.strip_prefix("/pledgebook.v1.")?;
    Some(match method {
        "CampaignService/GetPublicProgress" | "LedgerService/ListCurrencies" => Policy::Anybody,

        "CampaignService/GetCampaign"
        | "CampaignService/ListCampaigns"
        | "CampaignService/WatchCampaign" => KNOWS,
        "CampaignService/CreateCampaign"
        | "CampaignService/UpdateCampaign"
        | "CampaignService/ReviseTerms"
        | "CampaignService/AddShareClass"
        | "CampaignService/StartGathering"
        | "CampaignService/StartPledging"
        | "CampaignService/OpenCampaign"
        | "CampaignService/CancelCampaign"
        | "CampaignService/CloseCampaign"
        | "CampaignService/ConcludeCampaign"
        | "CampaignService/StartCompletion"
        | "CampaignService/CompletePurchase"
        | "CampaignService/LoseAcquisition"
        | "CampaignService/FinishAllotment"
        | "CampaignService/StartRefunding"
        | "CampaignService/FinishRefunding"
        | "CampaignService/ArchiveCampaign"
        | "CampaignService/SuspendCampaign"
        | "CampaignService/ResumeCampaign" => RUNS,

        "MemberService/CreateMember"
        | "MemberService/SignCampaign"
        | "MemberService/WithdrawSignature" => ENTERS,
        "MemberService/GetMember" | "MemberService/CountSignatures" => SEES,
        "MemberService/ListMembers" => READS,

        "PledgeService/CreatePledge"
        | "PledgeService/AmendPledge"
        | "PledgeService/CancelPledge" => ENTERS,
        "PledgeService/ExpirePledges" => RUNS,
        "PledgeService/GetPledge" | "PledgeService/ListPledges" => KNOWS,

        "PaymentService/RegisterProviderAccount"
        | "PaymentService/RegisterBankAccount"
        | "PaymentService/RecordBankReceipt"
        | "PaymentService/MatchReceipt"
        | "PaymentService/RecordBankMovement"
        | "PaymentService/ClearDispute" => RUNS,
        "PaymentService/RecordPayment"
        | "PaymentService/RecordPayments"
        | "PaymentService/RecordPaymentFee"
        | "PaymentService/RecordPaymentFailure"
        | "PaymentService/RecordPayout"
        | "PaymentService/RecordPayoutArrival"
        | "PaymentService/RecordPayoutFailure"
        | "PaymentService/FlagDispute" => BRIDGES,
        "PaymentService/GetPayment" | "PaymentService/ListMoneyAccounts" => KNOWS,
        "PaymentService/ListPayments" => SEES,
        "PaymentService/GetPayout" | "PaymentService/ListPayouts" => READS,

        "RefundService/RequestRefund" => ENTERS,
        "RefundService/ApproveRefund"
        | "RefundService/RejectRefund"
        | "RefundService/ResendRefund"
        | "RefundService/MarkRefundUnclaimed" => RUNS,
        "RefundService/SubmitRefund"
        | "RefundService/SettleRefund"
        | "RefundService/FailRefund" => BRIDGES,
        "RefundService/ListRefundInstructions" => KNOWS_MONEY,
        "RefundService/GetRefund" | "RefundService/ListRefunds" => KNOWS,

        "RunService/PlanAllotment"
        | "RunService/PlanRefunds"
        | "RunService/ApproveRun"
        | "RunService/StartRun"
        | "RunService/PauseRun"
        | "RunService/CancelRun" => RUNS,
        "RunService/GetRun"
        | "RunService/ListRuns"
        | "RunService/ListRunItems"
        | "RunService/WatchRun" => READS,

        "ShareService/PurchaseShares" => RUNS,
        "ShareService/SimulateAllotment" | "ShareService/ListLots" => READS,

        "LedgerService/ListAccounts"
        | "LedgerService/GetBalance"
        | "LedgerService/GetEntry"
        | "LedgerService/ListEntries"
        | "LedgerService/StreamEntries"
        | "LedgerService/CheckCampaign" => READS,
        "LedgerService/PostEntry" | "LedgerService/ReverseEntry" => RUNS,

        "ReportService/GetTrialBalance"
        | "ReportService/GetGeneralLedger"
        | "ReportService/GetCoverage"
        | "ReportService/GetShareRegister"
        | "ReportService/GetRefundRun"
        | "ReportService/GetFees"
        | "ReportService/GetDailySeries"
        | "ReportService/GetCashFlow" => READS,
        "ReportService/GetBackerStatement" | "ReportService/GetCampaignProgress" => SEES,

        "AdminService/CreateApiKey" | "AdminService/ListApiKeys" | "AdminService/RevokeApiKey" => {
            ADMINISTERS
        }
        "WebhookService/CreateWebhookEndpoint" => ADMINISTERS,
        "WebhookService/ListWebhookEndpoints" | "WebhookService/ListWebhookEvents" => READS,
        "WebhookService/ReplayWebhookEvent" => RUNS,
        _ => return None,
    })
}

/// How long a key's lookup is good for: a revoked key works for so long at most.
pub(super) const KEY_MEMORY: Duration = Duration::from_secs(2);
/// More keys than any installation has; more would be an attack on the memory.
const MOST_REMEMBERED: usize = 10_000;

/// A key, or that there is none; nothing when it could not be looked up.
type LookUp = Arc<OnceCell<Option<Option<ApiKey>>>>;
type Remembered = HashMap<[u8; 32], (Instant, LookUp)>;

/// Authentication and authorisation for all services.
#[derive(Clone, Debug)]
pub struct Guard {
    store: Store,
    remembered: Arc<Mutex<Remembered>>,
}

impl Guard {
    /// A guard that looks keys up in a store.
    #[must_use]
    pub fn new(store: Store) -> Self {
        Self {
            store,
            remembered: Arc::default(),
        }
    }

    /// Around every call: lets it through with its [`Call`], or answers for it.
    pub async fn around<B, R, F>(
        &self,
        mut request: Request<B>,
        next: impl FnOnce(Request<B>) -> F,
    ) -> Response<R>
    where
        R: Default,
        F: Future<Output = Response<R>>,
    {
        let deadline = deadline(request.headers());
        // Looking a key up takes time too, and the caller's runs.
        let call = async move {
            match self.admit(request.uri().path(), request.headers()).await {
                Err(error) => Status::from(error).into_http(),
                Ok(caller) => {
                    request.extensions_mut().insert(Call { caller, deadline });
                    next(request).await
                }
            }
        };
        within(deadline, call).await
    }

    async fn admit(&self, path: &str, headers: &HeaderMap) -> Result<Caller, ApiError> {
        let anonymous = Caller {
            principal: "anonymous".to_owned(),
            role: None,
            campaign: None,
            key: None,
        };
        // What is not ours (health, reflection, unknown) has nothing to protect.
        if !path.starts_with("/pledgebook.v1.") {
            return Ok(anonymous);
        }
        match policy(path) {
            Some(Policy::Anybody) => Ok(anonymous),
            Some(Policy::Roles(roles)) => {
                let hash = hash(headers)?;
                let key = must_be_good(self.look_up(hash).await?)?;
                if !roles.contains(&key.role) {
                    return Err(ApiError::RoleNotAllowed);
                }
                Ok(Caller {
                    principal: format!("key:{}", key.id),
                    role: Some(key.role),
                    campaign: key.campaign,
                    key: Some(hash),
                })
            }
            // Denied before anything is looked at, whoever asks.
            None => Err(ApiError::RoleNotAllowed),
        }
    }

    /// Looks a key up, once for all calls that ask for it at the same time: thousands
    /// that each asked the database would keep it from everything else.
    async fn look_up(&self, hash: [u8; 32]) -> Result<Option<ApiKey>, ApiError> {
        let cell = self.remembered(hash);
        let mut failed = None;
        // Boxed, as few calls come to it: see `app`.
        let looked_up = cell.get_or_init(|| {
            Box::pin(async {
                let found = self.store.api_key_of_secret(hash).await;
                found.map_err(|error| failed = Some(error)).ok()
            })
        });
        if let Some(key) = looked_up.await {
            return Ok(key.clone());
        }
        self.forget(hash, &cell);
        Err(failed.map_or(BookError::Unavailable.into(), ApiError::from))
    }

    /// Where the key is, or will be once somebody has looked it up.
    fn remembered(&self, hash: [u8; 32]) -> LookUp {
        let now = Instant::now();
        let is_good = |at: Instant| now.duration_since(at) < KEY_MEMORY;
        let mut remembered = self
            .remembered
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some((_, cell)) = remembered.get(&hash).filter(|(at, _)| is_good(*at)) {
            return Arc::clone(cell);
        }
        if remembered.len() >= MOST_REMEMBERED {
            remembered.retain(|_, (at, _)| is_good(*at));
        }
        let cell = LookUp::default();
        if remembered.len() < MOST_REMEMBERED {
            remembered.insert(hash, (now, Arc::clone(&cell)));
        }
        cell
    }

    /// What could not be looked up is looked up again by the next call.
    fn forget(&self, hash: [u8; 32], failed: &LookUp) {
        let mut remembered = self
            .remembered
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if remembered
            .get(&hash)
            .is_some_and(|(_, cell)| Arc::ptr_eq(cell, failed))
        {
            remembered.remove(&hash);
        }
    }
}

/// The hash of the secret that a call brings along.
fn hash(headers: &HeaderMap) -> Result<[u8; 32], ApiError> {
    let header = headers.get(http::header::AUTHORIZATION);
    let secret = header
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split_once(' '))
        .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
        .map(|(_, secret)| secret.trim())
        .ok_or(ApiError::Unauthenticated)?;
    Ok(KeySecret::hash(secret))
}

/// When the caller stops waiting, by its `grpc-timeout` header.
fn deadline(headers: &HeaderMap) -> Option<Instant> {
    let header = headers.get("grpc-timeout")?.to_str().ok()?;
    let (digits, unit) = header.split_at_checked(header.len().checked_sub(1)?)?;
    // At most eight digits, by the gRPC specification.
    let number: u64 = digits.parse().ok().filter(|_| digits.len() <= 8)?;
    let timeout = match unit {
        "H" => Duration::from_secs(number.checked_mul(3600)?),
        "M" => Duration::from_secs(number.checked_mul(60)?),
        "S" => Duration::from_secs(number),
        "m" => Duration::from_millis(number),
        "u" => Duration::from_micros(number),
        "n" => Duration::from_nanos(number),
        _ => return None,
    };
    Instant::now().checked_add(timeout.saturating_sub(DEADLINE_MARGIN))
}

/// Runs a call until its deadline, and gives errors that come without a reason one.
async fn within<R: Default>(
    deadline: Option<Instant>,
    call: impl Future<Output = Response<R>>,
) -> Response<R> {
    let too_late = || Status::from(ApiError::from(BookError::DeadlineExceeded)).into_http();
    let response = match deadline {
        None => call.await,
        // A timer takes a millisecond to notice, in which a call might begin to write.
        Some(deadline) if deadline <= Instant::now() => return too_late(),
        Some(deadline) => match tokio::time::timeout_at(deadline, call).await {
            Ok(response) => response,
            Err(_) => return status::out_of_time().into_http(),
        },
    };
    let headers = response.headers();
    if !headers.contains_key("grpc-status") || headers.contains_key("grpc-status-details-bin") {
        return response;
    }
    match Status::from_header_map(headers) {
        Some(status) if status.code() != tonic::Code::Ok => status::completed(&status).into_http(),
        _ => response,
    }
}

#[cfg(test)]
mod tests {
    use prost::Message;
    use prost_types::FileDescriptorSet;

    use super::*;
    use crate::grpc::pb;

    fn methods() -> Vec<String> {
        let files = FileDescriptorSet::decode(pb::DESCRIPTORS).unwrap().file;
        let ours = files
            .iter()
            .filter(|file| file.package() == "pledgebook.v1");
        let services = ours.flat_map(|file| &file.service);
        let paths = services.flat_map(|service| {
            let method = |method: &prost_types::MethodDescriptorProto| {
                format!("/pledgebook.v1.{}/{}", service.name(), method.name())
            };
            service.method.iter().map(method).collect::<Vec<_>>()
        });
        paths.collect()
    }

    #[test]
    fn every_method_has_a_policy() {
        let methods = methods();
        assert!(methods.len() > 40);
        for path in methods {
            assert!(policy(&path).is_some(), "{path} has no policy");
        }
        assert_eq!(policy("/pledgebook.v1.CampaignService/Unknown"), None);
        assert_eq!(policy("/grpc.health.v1.Health/Check"), None);
    }

    #[test]
    fn an_auditor_calls_nothing_that_writes() {
        for path in methods() {
            let name = path.rsplit('/').next().unwrap();
            let reads = [
                "Get", "List", "Stream", "Count", "Check", "Watch", "Simulate",
            ];
            if reads.iter().any(|read| name.starts_with(read)) {
                continue;
            }
            match policy(&path) {
                Some(Policy::Roles(roles)) => assert!(!roles.contains(&Auditor), "{path}"),
                other => panic!("{path}: {other:?}"),
            }
        }
    }
}
