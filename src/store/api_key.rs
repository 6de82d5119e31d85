//! API keys.

use time::OffsetDateTime;
use uuid::Uuid;

use super::{Store, StoreError};
use crate::{
    access::{ApiKey, Role},
    id::{ApiKeyId, CampaignId},
};

struct Row {
    api_key_id: Uuid,
    display_name: String,
    role: String,
    campaign_id: Option<Uuid>,
    created_at: OffsetDateTime,
    revoked_at: Option<OffsetDateTime>,
}

impl TryFrom<Row> for ApiKey {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self, StoreError> {
        Ok(Self {
            id: ApiKeyId(row.api_key_id),
            display_name: row.display_name,
            role: Role::of_word(&row.role)
                .ok_or_else(|| StoreError::unreadable("role", &row.role))?,
            campaign: row.campaign_id.map(CampaignId),
            created_at: row.created_at,
            revoked_at: row.revoked_at,
        })
    }
}

impl Store {
    /// Keeps a new key. False when a key of this id is there already.
    ///
    /// # Errors
    /// When the database fails, or the key's campaign does not exist.
    pub async fn api_key_create(
        &self,
        key: &ApiKey,
        secret_hash: [u8; 32],
        created_by: &str,
    ) -> Result<bool, StoreError> {
        let insert = sqlx::query!(
            "INSERT INTO api_key (api_key_id, secret_hash, display_name, role, campaign_id,
                created_at, created_by)
             VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (api_key_id) DO NOTHING",
            key.id.0,
            &secret_hash,
            key.display_name,
            key.role.word(),
            key.campaign.map(|campaign| campaign.0),
            key.created_at,
            created_by
        );
        Ok(insert.execute(&self.pool).await?.rows_affected() == 1)
    }

    /// The key of a secret, revoked ones too.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn api_key_of_secret(
        &self,
        secret_hash: [u8; 32],
    ) -> Result<Option<ApiKey>, StoreError> {
        let row = sqlx::query_as!(
            Row,
            "SELECT api_key_id, display_name, role, campaign_id, created_at, revoked_at
             FROM api_key WHERE secret_hash = $1",
            &secret_hash
        );
        row.fetch_optional(&self.pool)
            .await?
            .map(ApiKey::try_from)
            .transpose()
    }

    /// All keys, newest first.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn api_keys(&self) -> Result<Vec<ApiKey>, StoreError> {
        let rows = sqlx::query_as!(
            Row,
            "SELECT api_key_id, display_name, role, campaign_id, created_at, revoked_at
             FROM api_key ORDER BY created_at DESC, api_key_id DESC"
        );
        rows.fetch_all(&self.pool)
            .await?
            .into_iter()
            .map(ApiKey::try_from)
            .collect()
    }

    /// Revokes a key; a revoked one stays as it is. Nothing when there is no such key.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn api_key_revoke(
        &self,
        id: ApiKeyId,
        revoked_by: &str,
        now: OffsetDateTime,
    ) -> Result<Option<ApiKey>, StoreError> {
        sqlx::query!(
            "UPDATE api_key SET revoked_at = $2, revoked_by = $3
             WHERE api_key_id = $1 AND revoked_at IS NULL",
            id.0,
            now,
            revoked_by
        )
        .execute(&self.pool)
        .await?;
        let row = sqlx::query_as!(
            Row,
            "SELECT api_key_id, display_name, role, campaign_id, created_at, revoked_at
             FROM api_key WHERE api_key_id = $1",
            id.0
        );
        row.fetch_optional(&self.pool)
            .await?
            .map(ApiKey::try_from)
            .transpose()
    }
}
