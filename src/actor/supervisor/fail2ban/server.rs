//! The options of the server as a whole: `get` and `set` of `loglevel`, `logtarget`, `dbfile` …, and `flushlogs`.

use std::path::PathBuf;
use std::rc::Rc;
use std::time::Duration;

use super::answers::not_done;
use crate::actor::supervisor::yard::Yard;
use crate::config::{Config, log_level, log_target};
use crate::fail2ban::Server;
use crate::fail2ban::desk::{self, ServerOrder};
use crate::python::{Raised, Value, lower};

/// What Fail2Ban keeps of a ban's lines in its database when nobody says anything.
const MAX_MATCHES: i64 = 10;

/// The names of levels besides numbers.
const LEVELS: &[&str] = &[
    "CRITICAL",
    "FATAL",
    "ERROR",
    "WARNING",
    "WARN",
    "NOTICE",
    "MSG",
    "INFO",
    "DEBUG",
    "TRACEDEBUG",
    "HEAVYDEBUG",
    "NOTSET",
];

/// The options as they were told.
#[derive(Clone)]
pub(in crate::actor::supervisor) struct Options {
    log_level: String,
    log_target: String,
    syslog_socket: Value,
    allow_ipv6: Value,
    max_matches: Value,
    stack_size: Value,
}

impl Options {
    /// What a configuration says; where the command line said otherwise, that.
    pub(super) fn of(config: &Config) -> Self {
        let told = |key: &str| config.server.as_ref().and_then(|server| server.option(key)).cloned();
        let text = |key: &str| told(key).and_then(|value| value.as_text());
        let daemon = &config.daemon;
        let level = text("loglevel").filter(|level| log_level(level) == daemon.log_level);
        let target = text("logtarget").filter(|target| log_target(target) == daemon.log_target);
        Self {
            log_level: level.map_or_else(|| daemon.log_level.clone(), |level| level.to_uppercase()),
            log_target: target.map_or_else(|| daemon.log_target.clone(), |target| name(&target).to_owned()),
            syslog_socket: told("syslogsocket").unwrap_or_else(|| "auto".into()),
            allow_ipv6: told("allowipv6").unwrap_or_else(|| "auto".into()),
            max_matches: told("dbmaxmatches").unwrap_or_else(|| MAX_MATCHES.into()),
            stack_size: config.server.as_ref().and_then(Server::stack_size).unwrap_or(0.into()),
        }
    }

    /// Whether addresses of IPv6 are banned, as written.
    pub(super) fn allow_ipv6(&self) -> String {
        self.allow_ipv6.as_text().unwrap_or_default()
    }
}

impl Yard {
    pub(super) async fn server(self: &Rc<Self>, order: ServerOrder) -> Result<Value, Raised> {
        match order {
            ServerOrder::Get(key) => Ok(self.server_option(&key)),
            ServerOrder::Set(key, value) => {
                self.set_server_option(&key, &value).await?;
                Ok(if key == "thread" { Value::None } else { self.server_option(&key) })
            }
        }
    }

    fn server_option(&self, key: &str) -> Value {
        let options = self.world.options.borrow();
        let daemon = &self.config.borrow().daemon;
        match key {
            "loglevel" => options.log_level.as_str().into(),
            "logtarget" => options.log_target.as_str().into(),
            "syslogsocket" => options.syslog_socket.clone(),
            "allowipv6" => options.allow_ipv6.clone(),
            "thread" => Value::Map(vec![("stacksize".into(), options.stack_size.clone())]),
            // Without a database there is nothing that they could be about.
            "dbfile" | "dbmaxmatches" | "dbpurgeage" if self.store.borrow().is_none() => Value::None,
            "dbfile" => daemon.store.as_ref().map_or(Value::None, |path| path.display().to_string().into()),
            "dbmaxmatches" => options.max_matches.clone(),
            "dbpurgeage" => Value::Int(daemon.purge_age.as_secs().to_string()),
            _ => Value::None,
        }
    }

    async fn set_server_option(self: &Rc<Self>, key: &str, value: &Value) -> Result<(), Raised> {
        match key {
            "loglevel" => self.set_log_level(value),
            "logtarget" => self.set_log_target(&value.print()),
            "dbfile" => self.set_store(&value.print()).await,
            "dbpurgeage" => {
                let age = desk::seconds(value)?.float();
                let age = Duration::try_from_secs_f64(age.trunc()).unwrap_or_default();
                self.config.borrow_mut().daemon.purge_age = age;
                Ok(())
            }
            "dbmaxmatches" => {
                let number = desk::int(value)?;
                let kept: i64 = number.print().parse().unwrap_or(i64::from(u16::MAX));
                self.keep_matches(kept.clamp(0, u16::MAX.into()) as usize);
                self.world.options.borrow_mut().max_matches = number;
                Ok(())
            }
            "thread" => self.set_thread(value),
            "syslogsocket" => {
                self.world.options.borrow_mut().syslog_socket = value.clone();
                Ok(())
            }
            "allowipv6" => {
                self.world.options.borrow_mut().allow_ipv6 = value.clone();
                Ok(())
            }
            _ => Err(Raised::builtin("Exception", "Invalid command")),
        }
    }

    fn set_log_level(&self, value: &Value) -> Result<(), Raised> {
        let Value::Text(level) = value else {
            let what = format!("'{}' object has no attribute 'upper'", desk::type_of(value));
            return Err(Raised::builtin("AttributeError", what));
        };
        let level = level.to_uppercase();
        let is_number = !level.is_empty() && level.bytes().all(|byte| byte.is_ascii_digit());
        if !is_number && !LEVELS.contains(&&*level) {
            return Err(Raised::builtin("ValueError", format!("Invalid log level '{level}'")));
        }
        let ours = log_level(&level);
        self.logs.set_level(ours).map_err(|error| not_done(error.to_string()))?;
        ours.clone_into(&mut self.config.borrow_mut().daemon.log_level);
        self.world.options.borrow_mut().log_level = level;
        Ok(())
    }

    fn set_log_target(&self, target: &str) -> Result<(), Raised> {
        let ours = log_target(target);
        if let Err(error) = self.logs.set_target(&ours) {
            tracing::error!(target: "fail2ban.server", "{error}");
            return Err(Raised::builtin("Exception", "Failed to change log target"));
        }
        self.config.borrow_mut().daemon.log_target = ours;
        name(target).clone_into(&mut self.world.options.borrow_mut().log_target);
        Ok(())
    }

    /// Opens the log anew, after it was rotated away.
    pub(super) fn flush_logs(&self) -> Result<Value, Raised> {
        self.logs.reopen().map_err(|error| not_done(error.to_string()))?;
        tracing::info!(target: "fail2ban.server", "the log was opened anew");
        let target = log_target(&self.world.options.borrow().log_target);
        let is_file = !matches!(&*target, "STDOUT" | "STDERR" | "JOURNAL");
        Ok(if is_file { "rolled over" } else { "flushed" }.into())
    }

    fn set_thread(&self, value: &Value) -> Result<(), Raised> {
        let Value::Map(items) = value else {
            let what = format!("'{}' object has no attribute 'items'", desk::type_of(value));
            return Err(Raised::builtin("AttributeError", what));
        };
        for (key, value) in items {
            if *key != "stacksize".into() {
                return Err(Raised::builtin("KeyError", format!("unknown option {key}")));
            }
            let size = desk::int(value)?;
            // In KiB; a thread needs 32 of them.
            if size.print().parse().is_ok_and(|size: i64| (1..32).contains(&size) || size < 0) {
                let bytes = size.print().parse::<i64>().unwrap_or_default().saturating_mul(1024);
                return Err(Raised::builtin("ValueError", format!("size not valid: {bytes} bytes")));
            }
            self.world.options.borrow_mut().stack_size = size;
        }
        Ok(())
    }

    /// Remembers bans in another database, or in none; not while jails rely on the one there is.
    async fn set_store(self: &Rc<Self>, file: &str) -> Result<(), Raised> {
        let path = (lower(file) != "none" && file != ":memory:").then(|| PathBuf::from(file));
        let running =
            self.store.borrow().is_some().then(|| self.config.borrow().daemon.store.clone()).flatten();
        if path == running {
            return Ok(());
        }
        if !self.names().is_empty() {
            let why = "Cannot change database when there are jails present";
            return Err(Raised::builtin("RuntimeError", why));
        }
        self.close_store().await;
        self.config.borrow_mut().daemon.store.clone_from(&path);
        if let Some(path) = path {
            return self.open_store(&path).map_err(not_done);
        }
        "off: a restart forgets everything".clone_into(&mut self.store_text.borrow_mut());
        Ok(())
    }
}

/// A target without the options in its brackets.
fn name(target: &str) -> &str {
    target.split('[').next().unwrap_or_default().trim()
}
