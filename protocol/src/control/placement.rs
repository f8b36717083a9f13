//! Where an identity's server runs, and under which epoch.

use std::num::NonZeroU16;

use serde::{Deserialize, Serialize};

use crate::{Address, AtSign, Epoch, VolumeId};

/// The registrar's decision about one identity. It cannot be built without an epoch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Placement {
    /// Whose server this is.
    pub identity: AtSign,
    /// The sealed log that it opens.
    pub volume: VolumeId,
    /// With which it opens the log for writing.
    pub epoch: Epoch,
    /// What the directory answers.
    pub address: Address,
    /// The port that is hers alone, on which the router listens; none where she has but her name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<NonZeroU16>,
}
