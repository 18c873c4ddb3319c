//! What one command needs beyond the one read of its batch.

use compact_str::CompactString;
use tessera_core::decide::{self, OrderRecord, Recorded};
use tessera_core::event::{Claim, Command, What};
use tessera_core::id::{EventId, MemberId};
use tessera_core::ledger::Redemption;
use tessera_core::voucher::CodeRecord;
use tessera_store::StoreError;

use super::archived;
use super::asked::order_names;
use super::batch::One;
use super::load;
use super::whom::{Whom, known_member};
use crate::identifier::Identifier;
use crate::programs::member_id;
use crate::record::own_key;
use crate::submission::{Refusal, Submission};
use crate::voucher;

/// The guest's order that a claim is about (P6).
pub(super) enum Claimed {
    /// The command is no claim.
    Nothing,
    /// With its data.
    Order(Box<(OrderRecord, String)>),
    /// This batch has changed it and not written it yet.
    Unwritten,
    Refused(Refusal),
}

/// What a command needs beyond the batch's one read.
#[derive(Default)]
pub(super) struct More {
    /// It rests on events that are not in the database any more.
    pub archived: Option<Refusal>,
    pub orders: Vec<OrderRecord>,
    pub redemptions: Vec<(u64, Redemption)>,
    pub codes: Vec<CodeRecord>,
    pub history: Option<Vec<Recorded>>,
    /// What became of an order's points before its maker was merged.
    pub former: Vec<Recorded>,
    /// It is about what a merge has not brought yet.
    pub is_early: bool,
    /// The data of the event, where they are not the command's.
    pub payload: Option<String>,
}

impl One<'_> {
    /// Reads what this command needs beyond the batch's one read; `None` when that is not written yet.
    pub(super) fn read_more(
        &mut self,
        command: &Submission,
        core: &Command,
        whom: &Whom,
    ) -> Result<Option<More>, StoreError> {
        let program = command.program.number;
        let versions = command.program.versions();
        let known = match whom {
            Whom::Known(member) => self.loaded.members.get(&(program, *member)),
            _ => None,
        };
        let needs = decide::needs(&versions, known.map(|known| &known.state), core);
        let touched = matches!(whom, Whom::Known(member) if self.loaded.is_unwritten((program, *member)));
        let reads_profile = command.has_personal_data()
            || matches!(command.what, What::Rename(_) | What::Leave { .. } | What::SurvivorLeft(_));
        if touched && (needs.history || needs.purchases_since.is_some() || reads_profile) {
            return Ok(None);
        }
        let (mut orders, mut is_early) = (Vec::new(), false);
        load::known_orders(self.loaded, self.tx, self.context, program, &needs.awaited)?;
        for name in order_names(command).into_iter().chain(needs.awaited.iter().cloned()) {
            let key = self.context.secrets.order_key(program, &name);
            let Some(known) = self.loaded.orders.get(&(program, key)).cloned() else { continue };
            let wanted = command.what.makes_order() == Some(name.as_str())
                || needs.order.as_ref() == Some(&name)
                || needs.awaited.contains(&name);
            if !wanted {
                continue;
            }
            let owner = self.loaded.owner(program, &known);
            if [known.member, owner].iter().any(|member| self.loaded.is_unwritten((program, *member))) {
                return Ok(None);
            }
            let Some(record) = load::order(self.loaded, self.tx, program, &versions, &known)? else {
                let refusal = match command.what.makes_order() == Some(name.as_str()) {
                    true => decide::Rejected::OrderExists { order_id: name }.into(),
                    false => archived::order(&name),
                };
                return Ok(Some(More { archived: Some(refusal), ..More::default() }));
            };
            match self.loaded.seen_by_owner(program, &known, record) {
                Some(record) => orders.push(record),
                None => is_early = true,
            }
        }
        let (mut history, mut former, mut redemptions) = (None, Vec::new(), Vec::new());
        if let Whom::Known(member) = whom {
            if let Some(since) = needs.purchases_since {
                let state = self.loaded.members.get(&(program, *member)).map(|known| &known.state);
                let merged = state.into_iter().flat_map(|state| state.merged_now()).map(|merged| merged.id);
                let makers: Vec<MemberId> = std::iter::once(*member).chain(merged).collect();
                for maker in makers {
                    let found =
                        load::purchases_since(self.loaded, self.tx, self.context, program, &versions, maker, since)?;
                    for (record, key, known) in found.into_iter().filter(|(record, ..)| record.member == *member) {
                        self.loaded.orders.insert(key, known);
                        orders.push(record);
                    }
                }
                orders.sort_by_key(|order| std::cmp::Reverse((order.effective_at, order.event)));
            }
            let state = self.loaded.members.get(&(program, *member)).map(|known| &known.state);
            let of_orders = state.is_some_and(|state| decide::needs_history(&versions, state, &orders, core));
            if of_orders && touched {
                return Ok(None);
            }
            let made_by = orders.iter().find(|order| order.made_by != order.member);
            let made_by = made_by.zip(state).map(|(order, state)| state.event_id(order.event));
            let named: Vec<(u64, EventId)> = decide::redemptions(&core.what, state, &orders)
                .into_iter()
                .filter_map(|number| Some((number, state?.event_id(number))))
                .collect();
            if needs.history || of_orders {
                let known = load::history(self.tx, program, *member)?;
                // What follows from an order alone needs what came after it.
                if let Some(refusal) = archived::history(&known).filter(|_| needs.history) {
                    return Ok(Some(More { archived: Some(refusal), ..More::default() }));
                }
                history = Some(known);
            }
            if let Some(made_by) = made_by.filter(|_| of_orders) {
                if self.loaded.is_unwritten((program, made_by.member)) {
                    return Ok(None);
                }
                former = load::history(self.tx, program, made_by.member)?;
                former.retain(|event| event.seq >= made_by.seq);
            }
            let ids: Vec<_> = named.iter().map(|(_, id)| (program, *id)).collect();
            self.loaded.read_redemptions_of(self.tx, &ids)?;
            let known =
                |(number, id): (u64, EventId)| Some((number, self.loaded.redemptions.get(&(program, id))?.clone()));
            redemptions.extend(named.into_iter().filter_map(known));
        }
        let member = known_member(whom);
        let mut named = decide::voucher_codes(&core.what, &orders);
        let state = member.and_then(|member| self.loaded.members.get(&(program, member))).map(|known| &known.state);
        let undone = decide::undone_codes(&core.what, state, &redemptions);
        named.extend(undone.iter().cloned());
        named.sort_unstable();
        named.dedup();
        if let (Some(member), Some(quote), What::Purchase(_)) = (member, &mut self.quote, &core.what)
            && (quote.ask.best || quote.ask.missing)
        {
            let holder = self.loaded.members.get(&(program, member)).map(|known| &known.state);
            let merged = holder.into_iter().flat_map(|holder| holder.merged_now()).map(|merged| merged.id);
            let owners: Vec<MemberId> = std::iter::once(member).chain(merged).collect();
            let mut own = Vec::new();
            for owner in owners {
                own.append(&mut voucher::good_codes(self.tx, program, owner, core.effective_at)?);
            }
            quote.ask.not_all_codes = own.len() >= voucher::OWN_MAX;
            named.extend(own);
            named.sort_unstable();
            named.dedup();
        }
        let codes = self.read_vouchers(command, member, named)?;
        // A code that this batch has given is not written yet.
        if touched && undone.iter().any(|code| codes.iter().all(|known| known.code != *code)) {
            return Ok(None);
        }
        Ok(Some(More { archived: None, payload: None, orders, redemptions, codes, history, former, is_early }))
    }

    /// The codes of vouchers that are there of those named.
    pub(super) fn read_vouchers(
        &mut self,
        command: &Submission,
        member: Option<MemberId>,
        named: Vec<CompactString>,
    ) -> Result<Vec<CodeRecord>, StoreError> {
        let program = command.program.number;
        let key = |code: &CompactString| (program, self.context.secrets.code_key(program, code));
        let keys: Vec<_> = named.iter().map(key).collect();
        self.loaded.read_codes_of(self.tx, &keys)?;
        let mut codes = Vec::with_capacity(named.len());
        for (code, key) in named.into_iter().zip(keys) {
            if !self.loaded.codes.contains_key(&key)
                && let Some(member) = member
                && let Some(known) = voucher::issued_before(self.tx, &command.program, member, (&code, key.1))?
            {
                self.loaded.codes.insert(key, known);
            }
            codes.extend(self.loaded.codes.get(&key).map(|known| known.record(code, &key.1)).transpose()?);
        }
        Ok(codes)
    }

    /// Finds the guest's order of a claim's code. The command then happens when the purchase did.
    pub(super) fn claimed(
        &mut self,
        command: &Submission,
        core: &mut Command,
        whom: &Whom,
    ) -> Result<Claimed, StoreError> {
        let What::Claim(claim) = &mut core.what else { return Ok(Claimed::Nothing) };
        let program = command.program.number;
        let code = self.context.secrets.order_key(program, &Claim::key_of(&claim.code));
        let Some(guest) = self.loaded.orders.get(&(program, code)).cloned() else {
            return Ok(Claimed::Refused(decide::Rejected::UnknownClaimCode.into()));
        };
        if self.loaded.is_unwritten((program, guest.member)) {
            return Ok(Claimed::Unwritten);
        }
        let versions = command.program.versions();
        let Some(made_by) = load::one_event(self.tx, program, guest.member, guest.seq)? else {
            return Ok(Claimed::Refused(archived::receipt()));
        };
        let order_id = made_by.order(&versions)?.order_id;
        load::known_orders(self.loaded, self.tx, self.context, program, std::slice::from_ref(&order_id))?;
        let key = self.context.secrets.order_key(program, &order_id);
        let known = self.loaded.orders.get(&(program, key)).filter(|known| known.member == guest.member).cloned();
        let Some(known) = known else {
            let detail = format!("the purchase {order_id} was claimed before");
            return Ok(Claimed::Refused(Refusal::new("already-claimed", detail).with("order_id", order_id.as_str())));
        };
        let Some(record) = load::order(self.loaded, self.tx, program, &versions, &known)? else {
            return Ok(Claimed::Refused(archived::receipt()));
        };
        let content = known.progress.as_ref().map_or(known.seq, |progress| progress.content);
        let Some(content) = load::one_event(self.tx, program, guest.member, content)? else {
            return Ok(Claimed::Refused(archived::receipt()));
        };
        core.effective_at = record.effective_at;
        if let (Some(staff), Whom::Known(member)) = (&record.content.staff, whom)
            && let Ok(identifier) = format!("staff:{staff}").parse::<Identifier>()
        {
            let key = self.context.secrets.identifier_key(program, &identifier.to_text());
            let sql = "SELECT member FROM member_identifier WHERE bucket = $1 AND program = $2 AND key = $3 \
                       AND state IS NULL";
            let rows = self.tx.query(sql, &own_key(program, &key))?;
            let known = rows.first().map(|row| member_id(row[0].bytes()?)).transpose()?;
            claim.is_own_sale = known.map(|known| self.loaded.survivor(program, known)) == Some(*member);
        }
        Ok(Claimed::Order(Box::new((record, content.envelope()?.data.get().to_owned()))))
    }
}
