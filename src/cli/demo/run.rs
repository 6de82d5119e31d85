//! Which play it is, and the ids of its things.

use crate::id;

/// Which play this is. A cluster takes the same seed again as another run.
#[derive(Clone, Copy, Debug)]
pub(super) struct Run {
    pub(super) seed: u64,
    pub(super) number: u64,
}

impl Run {
    /// The id of something of this run.
    pub(super) fn id(self, of: &str) -> uuid::Uuid {
        let parts: [&[u8]; 3] = [
            &self.seed.to_be_bytes(),
            &self.number.to_be_bytes(),
            of.as_bytes(),
        ];
        id::derived("demo", &parts)
    }
}

impl std::fmt::Display for Run {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}-{}", self.seed, self.number)
    }
}
