//! Page tokens: where a list goes on, with a tag that ties the place to the
//! list, its filters and this installation.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};

use super::{ApiError, pb::ErrorReason};
use crate::secret::Secrets;

/// How many rows a page has unless the caller says otherwise.
const DEFAULT_SIZE: i64 = 50;
/// The most rows of a page.
const LARGEST_SIZE: i64 = 1_000;

/// A list and its filters, in which tokens have their place.
pub(super) struct Pages<'a> {
    secrets: &'a Secrets,
    list: String,
}

impl<'a> Pages<'a> {
    /// Pages of a list; `list` holds its name and all of its filters.
    pub(super) const fn of(secrets: &'a Secrets, list: String) -> Self {
        Self { secrets, list }
    }

    /// The rows to a page, and one more to see whether another page follows.
    pub(super) fn size(asked: i32) -> Result<i64, ApiError> {
        match i64::from(asked) {
            0 => Ok(DEFAULT_SIZE),
            size @ 1..=LARGEST_SIZE => Ok(size),
            _ => Err(ApiError::field("page_size", "from 1 to 1000, or 0 for 50")),
        }
    }

    /// The rows to a page.
    pub(super) fn rows(asked: i32) -> Result<usize, ApiError> {
        Self::size(asked).map(|size| usize::try_from(size).unwrap_or(usize::MAX))
    }

    /// The token of the next page; empty when there is none.
    pub(super) fn next(&self, place: Option<impl std::fmt::Display>) -> String {
        place.map_or_else(String::new, |place| self.token(&place.to_string()))
    }

    /// The token of a place.
    pub(super) fn token(&self, place: &str) -> String {
        let mut token = self.secrets.token(&self.content(place)).to_vec();
        token.extend_from_slice(place.as_bytes());
        URL_SAFE_NO_PAD.encode(token)
    }

    /// The place of a token; nothing for the first page.
    pub(super) fn place(&self, token: &str) -> Result<Option<String>, ApiError> {
        if token.is_empty() {
            return Ok(None);
        }
        let invalid = || ApiError::Field {
            field: "page_token".to_owned(),
            problem: "not a token of this list with these filters".to_owned(),
            reason: ErrorReason::TokenInvalid,
        };
        let token = URL_SAFE_NO_PAD.decode(token).map_err(|_| invalid())?;
        let (tag, place) = token.split_first_chunk().ok_or_else(invalid)?;
        let place = std::str::from_utf8(place).map_err(|_| invalid())?;
        if !self.secrets.is_token(&self.content(place), tag) {
            return Err(invalid());
        }
        Ok(Some(place.to_owned()))
    }

    /// The place of a token, read as what the list goes by.
    pub(super) fn read<T>(
        &self,
        token: &str,
        read: impl FnOnce(&str) -> Option<T>,
    ) -> Result<Option<T>, ApiError> {
        match self.place(token)? {
            None => Ok(None),
            Some(place) => match read(&place) {
                Some(read) => Ok(Some(read)),
                None => Err(ApiError::field("page_token", "not a token of this list")),
            },
        }
    }

    /// Cuts a page that was read with one row too many, and gives the token of the next.
    pub(super) fn cut<T>(
        &self,
        mut rows: Vec<T>,
        size: i64,
        place: impl FnOnce(&T) -> String,
    ) -> (Vec<T>, String) {
        let size = usize::try_from(size).unwrap_or(usize::MAX);
        if rows.len() <= size {
            return (rows, String::new());
        }
        rows.truncate(size);
        let token = rows.last().map(|last| self.token(&place(last)));
        (rows, token.unwrap_or_default())
    }

    fn content(&self, place: &str) -> Vec<u8> {
        format!("{}\n{place}", self.list).into_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_good_for_its_own_list_alone() {
        let secrets = Secrets::derive(&[7; 32]).unwrap();
        let other = Secrets::derive(&[8; 32]).unwrap();
        let list = |secrets| Pages::of(secrets, "pledges of a".to_owned());
        let token = list(&secrets).token("17");
        assert_eq!(list(&secrets).place(&token).unwrap(), Some("17".to_owned()));
        assert_eq!(list(&secrets).place("").unwrap(), None);
        assert!(list(&other).place(&token).is_err());
        assert!(
            Pages::of(&secrets, "pledges of b".to_owned())
                .place(&token)
                .is_err()
        );
        for forged in ["x", "AAAA", "!!", &token[1..], &format!("{token}A")] {
            assert!(list(&secrets).place(forged).is_err(), "{forged}");
        }
    }
}
