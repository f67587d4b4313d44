//! Who is logged in, as far as it concerns a jail.

use std::sync::Arc;

use actix::prelude::*;

use super::JailActor;
use crate::actor::message::LoggedIn;
use crate::jail::Effect;

impl JailActor {
    /// Learns who is logged in by now, before anybody is judged.
    pub(super) fn look_at_logins(&mut self) -> Vec<Effect> {
        if !self.jail.spares_logins() {
            return Vec::new();
        }
        let logins = self.wires.logins.fresh();
        if Arc::ptr_eq(&logins, self.jail.logins()) { Vec::new() } else { self.jail.set_logins(logins) }
    }

    /// The same when nobody is judged.
    pub(super) fn handle_logins(&mut self, ctx: &mut Context<Self>) {
        let effects = self.look_at_logins();
        if !effects.is_empty() {
            self.act(effects, ctx);
        }
    }
}

impl Handler<LoggedIn> for JailActor {
    type Result = ();

    fn handle(&mut self, _: LoggedIn, ctx: &mut Self::Context) {
        self.handle_logins(ctx);
    }
}
