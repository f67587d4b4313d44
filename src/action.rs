//! What is done about a ban besides the native firewalls: commands that an operator wrote.
//!
//! Edge: processes behind plain types, no actors.

pub mod grant;
pub mod lifecycle;
pub mod process;
pub mod smtp;
pub mod template;

use std::path::Path;
use std::sync::Arc;

use self::grant::GrantError;
use self::smtp::{Mailer, MailerError};

/// An action as its file and its jail spell it, resolved as far as it can be before a ban.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Definition {
    /// The name of this instance, unique in its jail.
    pub name: Arc<str>,
    /// The file's name without its suffix, such as `nftables-multiport`; with it for `smtp.py`.
    pub file: Arc<str>,
    /// Every property in the order of the files: `actionban`, `actionban?family=inet6`, `port`, …
    pub options: Vec<(String, String)>,
}

/// How an action does its work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// By commands.
    Commands,
    /// By mails.
    Mails(Box<Mailer>),
}

/// Why an action cannot be used; its jail goes on without it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ActionError {
    /// It is a program in Python.
    #[error("{0} is written in Python, which is not run here: of those actions only smtp.py is known")]
    Python(Arc<str>),
    /// Its arguments are wrong.
    #[error(transparent)]
    Mailer(#[from] MailerError),
    /// It asks for capabilities that are none.
    #[error(transparent)]
    Grant(#[from] GrantError),
}

impl Definition {
    /// How it does its work.
    ///
    /// # Errors
    /// It cannot be used.
    pub fn kind(&self) -> Result<Kind, ActionError> {
        match &*self.file {
            smtp::FILE => Ok(Kind::Mails(Box::new(Mailer::new(self)?))),
            file if is_python(file) => Err(ActionError::Python(self.file.clone())),
            _ => self.grant().map(|_| Kind::Commands).map_err(ActionError::from),
        }
    }
}

/// Whether a file of this name is a program in Python.
pub fn is_python(file: &str) -> bool {
    Path::new(file).extension().is_some_and(|suffix| suffix == "py")
}
