//! Whom a command is about, and whether the names in it are free.

use tessera_core::decide;
use tessera_core::event::What;
use tessera_core::id::MemberId;
use tessera_core::member::Status;
use tessera_core::program::{GIFT_CARD, UnknownMember};

use super::batch::One;
use super::load::ClosedName;
use crate::gift_card::{replaced_gift_card, unknown_gift_card};
use crate::household::unknown_household;
use crate::identifier::{Identifier, Subject};
use crate::submission::{Refusal, Submission};

/// Whom a command is about.
pub(super) enum Whom {
    Known(MemberId),
    /// Nobody yet: the command makes a member, or the shadow of a guest's order.
    New {
        guest: bool,
    },
    /// Waits until somebody joins with this identifier.
    Later([u8; 16]),
}

impl One<'_> {
    pub(super) fn whom(&self, command: &Submission) -> Result<Whom, Refusal> {
        let program = command.program.number;
        let unknown = || {
            if command.what.names_redemption().is_some() {
                return Refusal::new("unknown-redemption", "there is no such redemption in this program");
            }
            if matches!(command.what, What::GiftCard(_)) {
                return unknown_gift_card();
            }
            let of_pool = matches!(&command.what, What::Redeem(redeem) if redeem.by.is_some());
            if of_pool || command.what.is_of_household() {
                return unknown_household();
            }
            Refusal::new(
                "unknown-member",
                "no member is known under this subject; enrol them first, or let the document say `unknown_member: enrol`",
            )
        };
        match &command.subject {
            Subject::Member(id) => {
                let named = *id;
                let id = if command.what.is_of_merged() { named } else { self.loaded.survivor(program, named) };
                // The next of a chain would have somebody whose names lead past it once the chain is undone.
                if let What::MergeIn(brought) = &command.what
                    && (id != named || self.gives_way(program, brought.from.member))
                {
                    return Err(decide::Rejected::NeedsMember.into());
                }
                match self.loaded.members.get(&(program, id)) {
                    Some(known) if is_about(known.state.status, &command.what) => Ok(Whom::Known(id)),
                    Some(known) if known.state.status == Status::Left => Err(member_left()),
                    // On the way to somebody, or back: whoever decides says that it is to come again.
                    Some(known) if known.state.status == Status::Merged => Ok(Whom::Known(id)),
                    None if command.what.makes_household() => Ok(Whom::New { guest: false }),
                    _ => Err(unknown()),
                }
            }
            Subject::Identifier(identifier) if identifier.is_gift_card() => self.gift_card(command, identifier),
            Subject::Identifier(identifier) => {
                let key = self.context.secrets.identifier_key(program, &identifier.to_text());
                if let Some(member) = self.loaded.identifiers.get(&(program, key)) {
                    return Ok(Whom::Known(self.loaded.survivor(program, *member)));
                }
                match self.loaded.closed.get(&(program, key)) {
                    Some(ClosedName::Replaced) => return Err(name_replaced(identifier)),
                    // Nobody comes back without wanting to.
                    Some(ClosedName::Left { until, .. })
                        if *until > command.recorded_at && !matches!(command.what, What::Enrol(_)) =>
                    {
                        return Err(member_left());
                    }
                    _ => {}
                }
                let policy = command.program.versions().at(command.effective_at).definition.unknown_member;
                match (&command.what, policy) {
                    // What somebody does by hand is about a member there is: a slip of the pen makes none.
                    (What::Adjust(_) | What::Transfer(_) | What::JoinChallenge { .. } | What::Household(_), _) => {
                        Err(unknown())
                    }
                    (What::MoveIn(_), _) => Ok(Whom::New { guest: false }),
                    // Somebody has joined elsewhere before they have points: what comes first is about nobody.
                    (what, _) if what.is_from_elsewhere() => Err(unknown()),
                    (What::Claim(_) | What::Rename(_) | What::Leave { .. } | What::Freeze(_), _) => Err(unknown()),
                    (what, _) if what.is_about_now() => Err(unknown()),
                    (What::Enrol(_), _) | (_, UnknownMember::Enrol) => Ok(Whom::New { guest: false }),
                    (_, UnknownMember::Refuse) => Err(unknown()),
                    // What waits lies in the open: personal data do not.
                    (What::Profile(_), _) if command.has_personal_data() => Err(unknown()),
                    (_, UnknownMember::Park) => Ok(Whom::Later(key)),
                }
            }
            Subject::Nobody => self.whom_by_order(command),
        }
    }

    /// Merges that crossed lead in a circle: each has ended, and waits for the next to take them in. One of them gives way,
    /// the one with the lowest id, so that whoever looks finds the same; they are a member again, and take in the one
    /// before them.
    fn gives_way(&self, program: i64, member: MemberId) -> bool {
        let into = |member: MemberId| self.loaded.members.get(&(program, member)).and_then(|known| known.state.into);
        let mut circle = vec![member];
        let mut next = into(member);
        while let Some(now) = next.filter(|now| !circle.contains(now)) {
            circle.push(now);
            next = into(now);
        }
        next == Some(member) && circle.iter().all(|other| *other >= member)
    }

    /// The gift card of a code, which is what makes it and pays with it.
    pub(super) fn gift_card(&self, command: &Submission, identifier: &Identifier) -> Result<Whom, Refusal> {
        let program = command.program.number;
        if !command.what.may_be_of_gift_card() {
            let detail = "this is the code of a gift card, and the event is about members";
            return Err(Refusal::new("unknown-member", detail));
        }
        let key = self.context.secrets.identifier_key(program, &identifier.to_text());
        let Some(card) = self.loaded.identifiers.get(&(program, key)) else {
            let makes = command.what.makes_gift_card();
            return if makes { Ok(Whom::New { guest: false }) } else { Err(unknown_gift_card()) };
        };
        let known = self.loaded.members.get(&(program, *card));
        if known.is_some_and(|known| known.state.gift_card.is_some_and(|known| known.code != key)) {
            return Err(replaced_gift_card());
        }
        Ok(Whom::Known(*card))
    }

    /// A command that names nobody: the member of the order it is about, somebody who joins, or a guest.
    pub(super) fn whom_by_order(&self, command: &Submission) -> Result<Whom, Refusal> {
        let program = command.program.number;
        if let Some(order) = command.what.names_order() {
            let key = self.context.secrets.order_key(program, order);
            return match self.loaded.orders.get(&(program, key)) {
                Some(known) => Ok(Whom::Known(self.loaded.owner(program, known))),
                None => Err(Refusal::new(
                    "unknown-order",
                    format!("there is no order {order}, and the event names no member that it could wait with"),
                )
                .with("order_id", order)),
            };
        }
        match &command.what {
            What::Purchase(_) | What::Return(_) => Ok(Whom::New { guest: true }),
            What::Enrol(_) if !command.identifiers.is_empty() => {
                let taken = command.identifiers.iter().find_map(|identifier| {
                    let key = self.context.secrets.identifier_key(program, &identifier.to_text());
                    self.loaded.identifiers.get(&(program, key))
                });
                Ok(taken
                    .map_or(Whom::New { guest: false }, |member| Whom::Known(self.loaded.survivor(program, *member))))
            }
            _ => Err(Refusal::new(
                "needs-member",
                "this event needs a `subject`: a member's id, or kind:value such as phone:+84901234567",
            )),
        }
    }

    /// A name that the data give must be free, or the member's own.
    pub(super) fn claims(&self, command: &Submission, whom: &Whom) -> Result<(), Refusal> {
        let program = command.program.number;
        let own = match whom {
            Whom::Known(member) => Some(*member),
            _ => None,
        };
        for identifier in &command.identifiers {
            if identifier.is_gift_card() && !matches!(command.what, What::GiftCard(_)) {
                let detail = format!("{GIFT_CARD}:… is the name of a gift card, and no member's");
                return Err(Refusal::new("identifier-taken", detail).with("kind", GIFT_CARD.as_str()));
            }
            let key = self.context.secrets.identifier_key(program, &identifier.to_text());
            let known = self.loaded.identifiers.get(&(program, key));
            let taken = known.is_some_and(|member| Some(self.loaded.survivor(program, *member)) != own);
            if matches!(self.loaded.closed.get(&(program, key)), Some(ClosedName::Replaced)) {
                return Err(name_replaced(identifier));
            }
            if taken {
                let detail = format!("another member is known under this {}", identifier.kind());
                return Err(Refusal::new("identifier-taken", detail).with("kind", identifier.kind().as_str()));
            }
            // P4: a profile says what is known of somebody, and carries no proof of whose number it is.
            let is_new = own.is_some() && !self.loaded.identifiers.contains_key(&(program, key));
            if is_new && matches!(command.what, What::Profile(_)) {
                let versions = command.program.versions();
                if versions.at(command.recorded_at).definition.identity.proof.contains(identifier.kind()) {
                    return Err(decide::Rejected::ProofNeeded { kind: identifier.kind().clone() }.into());
                }
            }
        }
        if let What::Rename(renaming) = &command.what {
            for name in &renaming.removed {
                let known = self.loaded.identifiers.get(&(program, name.key));
                if known.map(|member| self.loaded.survivor(program, *member)) != own {
                    let detail = format!("the member is known under no such {}", name.kind);
                    return Err(Refusal::new("unknown-identifier", detail).with("kind", name.kind.as_str()));
                }
            }
        }
        Ok(())
    }
}

pub(super) fn known_member(whom: &Whom) -> Option<MemberId> {
    match whom {
        Whom::Known(member) => Some(*member),
        _ => None,
    }
}

pub(super) fn member_left() -> Refusal {
    Refusal::new("member-left", "the member has left; whoever wants to come back enrols again")
}

pub(super) fn name_replaced(identifier: &Identifier) -> Refusal {
    let detail = format!("this {} was replaced by another and is blocked", identifier.kind());
    Refusal::new("identifier-replaced", detail).with("kind", identifier.kind().as_str())
}

/// Whether a command may be about somebody of this status.
pub(super) fn is_about(status: Status, what: &What) -> bool {
    match status {
        Status::Active => what.is_follow_up() || !matches!(what, What::GiftCard(_)),
        Status::GiftCard => what.may_be_of_gift_card(),
        Status::Household => what.may_be_of_household() || what.is_follow_up(),
        Status::Left => what.is_follow_up() || what.may_follow_leaving(),
        // A guest's cancelled order may free its voucher.
        Status::Guest => what.is_follow_up() || what.is_rollback(),
        Status::Merged => what.is_of_merged(),
    }
}
