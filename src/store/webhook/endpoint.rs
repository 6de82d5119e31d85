//! Endpoints: reference data outside the campaigns.

use time::OffsetDateTime;

use super::{AccountRow, Endpoint, EndpointRow, Read};
use crate::{
    domain::payment::MoneyAccount,
    id::{CampaignId, EndpointId, MoneyAccountId},
    store::Store,
};

impl Store {
    /// Keeps a new endpoint. False when one of this id is there already.
    ///
    /// # Errors
    /// When the database fails, or the campaign has no such account.
    pub async fn endpoint_create(
        &self,
        id: EndpointId,
        (campaign, account): (CampaignId, MoneyAccountId),
        sealed_secrets: &[Vec<u8>],
        created_at: OffsetDateTime,
        created_by: &str,
    ) -> Read<bool> {
        let insert = sqlx::query!(
            "INSERT INTO webhook_endpoint (endpoint_id, campaign_id, money_account_id,
                sealed_secrets, created_at, created_by)
             VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (endpoint_id) DO NOTHING",
            id.0,
            campaign.0,
            account.0,
            sealed_secrets,
            created_at,
            created_by
        );
        Ok(insert.execute(&self.pool).await?.rows_affected() == 1)
    }

    /// An endpoint with its account.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn endpoint(&self, id: EndpointId) -> Read<Option<Endpoint>> {
        let row = sqlx::query_as!(
            EndpointRow,
            "SELECT endpoint_id, endpoint.campaign_id, sealed_secrets, created_at,
                    account.money_account_id, kind, institution, external_id, currency, livemode
             FROM webhook_endpoint AS endpoint
             JOIN money_account AS account ON account.campaign_id = endpoint.campaign_id
                AND account.money_account_id = endpoint.money_account_id
             WHERE endpoint_id = $1",
            id.0
        );
        let row = row.fetch_optional(&self.pool).await?;
        row.map(Endpoint::try_from).transpose()
    }

    /// All endpoints, or one campaign's, newest first.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn endpoints(&self, only: Option<CampaignId>) -> Read<Vec<Endpoint>> {
        let rows = sqlx::query_as!(
            EndpointRow,
            "SELECT endpoint_id, endpoint.campaign_id, sealed_secrets, created_at,
                    account.money_account_id, kind, institution, external_id, currency, livemode
             FROM webhook_endpoint AS endpoint
             JOIN money_account AS account ON account.campaign_id = endpoint.campaign_id
                AND account.money_account_id = endpoint.money_account_id
             WHERE $1::uuid IS NULL OR endpoint.campaign_id = $1
             ORDER BY created_at DESC, endpoint_id DESC",
            only.map(|only| only.0)
        );
        let rows = rows.fetch_all(&self.pool).await?.into_iter();
        rows.map(Endpoint::try_from).collect()
    }

    /// A campaign's provider or bank account.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn money_account(
        &self,
        campaign: CampaignId,
        account: MoneyAccountId,
    ) -> Read<Option<MoneyAccount>> {
        let row = sqlx::query_as!(
            AccountRow,
            "SELECT money_account_id, kind, institution, external_id, currency, livemode
             FROM money_account WHERE campaign_id = $1 AND money_account_id = $2",
            campaign.0,
            account.0
        );
        let row = row.fetch_optional(&self.pool).await?;
        row.map(MoneyAccount::try_from).transpose()
    }
}
