//! What actions are asked, and what follows from their answers.

use std::sync::Arc;

use crate::action::lifecycle::{Scope, Task};
use crate::action::template::Ticket;
use crate::id::Id;
use crate::jail::Ban;

/// Something for an action to do.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::actor::jail) enum Wish {
    Start,
    /// The token tells this ban from an earlier one of the same id.
    Ban(Id, u64),
    /// The same, once more: the environment was repaired, or the action is new.
    Again(Id, u64),
    Prolong(Id),
    Unban(Box<Ban>),
    Flush,
    Check,
    Reload,
    Stop,
}

/// What follows from an answer.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::actor::jail) enum Word {
    /// Everybody has confirmed this ban, or one has refused it.
    Ban(Id, Result<(), Arc<str>>),
    /// Everybody has let it in, or one could not.
    Unban(Id, Result<(), Arc<str>>),
    /// Every action has heard of this ban.
    Told(Id),
    /// The bans in this environment have to be made again by this action (all but the one over which that was noticed).
    Repaired(u32, Scope, Option<Id>),
    /// Something for the log: what an action could not do.
    Failed(Arc<str>, &'static str, Option<Id>, String),
}

impl Wish {
    /// What the action is asked.
    pub(in crate::actor::jail) fn task(&self) -> Task {
        match self {
            Self::Start => Task::Start,
            Self::Ban(..) => Task::Ban,
            Self::Again(..) => Task::Reban,
            Self::Prolong(_) => Task::Prolong,
            Self::Unban(_) => Task::Unban,
            Self::Flush => Task::Flush,
            Self::Check => Task::Check,
            Self::Reload => Task::Reload,
            Self::Stop => Task::Stop,
        }
    }

    /// Whom it is about, for those whose ban the jail still has.
    pub(in crate::actor::jail) fn id(&self) -> Option<&Id> {
        match self {
            Self::Ban(id, _) | Self::Again(id, _) | Self::Prolong(id) => Some(id),
            _ => None,
        }
    }

    /// The ticket, but for a ban that the jail has to look up.
    pub(in crate::actor::jail) fn ticket(&self) -> Ticket {
        match self {
            Self::Unban(ban) => Ticket::of(ban),
            _ => Ticket::default(),
        }
    }
}
