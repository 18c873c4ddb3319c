//! Names and personal data that a command brings, changes or ends.

use tessera_core::decide::Memory;
use tessera_core::event::{Removal, SecondFact, What};
use tessera_core::id::MemberId;
use tessera_core::member::Status;
use tessera_store::{StoreError, tables};

use super::batch::One;
use super::load::ClosedName;
use super::whom::Whom;
use crate::identifier::{Identifier, Subject};
use crate::profile::{IDENTIFIERS_MAX, Profile, SealedProfile};
use crate::record::member_key;
use crate::submission::{Refusal, Submission};

impl One<'_> {
    /// Why the names that a command brings would be more than may lead to one member.
    pub(super) fn too_many_names(&mut self, command: &Submission, whom: &Whom) -> Result<Option<Refusal>, StoreError> {
        let program = command.program.number;
        let is_new = |identifier: &&Identifier| {
            let key = self.context.secrets.identifier_key(program, &identifier.to_text());
            !self.loaded.identifiers.contains_key(&(program, key))
        };
        let (new, Whom::Known(member)) = (command.identifiers.iter().filter(is_new).count(), whom) else {
            return Ok(None);
        };
        if new == 0 {
            return Ok(None);
        }
        let removed = match &command.what {
            What::Rename(renaming) => renaming.removed.len(),
            _ => 0,
        };
        let known = self.profile_of(program, *member)?.identifiers.len().saturating_sub(removed);
        if known + new <= IDENTIFIERS_MAX {
            return Ok(None);
        }
        let detail = format!(
            "at most {IDENTIFIERS_MAX} identifiers lead to a member: there are {known}, and {new} more would come"
        );
        Ok(Some(Refusal::new("too-many-identifiers", detail).with("most", IDENTIFIERS_MAX).with("known", known)))
    }

    /// A second fact that is a name is one if the name leads to the same member.
    pub(super) fn know_second_fact(&self, program: i64, what: &mut What, whom: &Whom) {
        if let (What::Rename(renaming), Whom::Known(member)) = (what, whom)
            && let Some(SecondFact::Name { name, is_own }) = &mut renaming.second
        {
            let known = self.loaded.identifiers.get(&(program, name.key));
            *is_own = known.is_some_and(|known| self.loaded.survivor(program, *known) == *member);
        }
    }

    /// What is remembered of somebody who is about to leave, and whether they are still a member.
    pub(super) fn memory_of_leaver(&self, command: &Submission, whom: &Whom) -> Option<(Memory, bool)> {
        let (What::Leave { .. } | What::SurvivorLeft(_), Whom::Known(member)) = (&command.what, whom) else {
            return None;
        };
        let known = self.loaded.members.get(&(command.program.number, *member))?;
        Some((Memory::of(&known.state), matches!(known.state.status, Status::Active | Status::Merged)))
    }

    /// What is remembered of whoever joins, if they left before (P3).
    pub(super) fn memory_of_joiner(&self, command: &Submission, whom: &Whom) -> Option<Memory> {
        let Whom::New { guest: false } = whom else { return None };
        let program = command.program.number;
        let subject = match &command.subject {
            Subject::Identifier(identifier) => Some(identifier),
            _ => None,
        };
        let mut found: Option<Memory> = None;
        for identifier in subject.into_iter().chain(&command.identifiers) {
            let key = self.context.secrets.identifier_key(program, &identifier.to_text());
            if let Some(ClosedName::Left { until, memory }) = self.loaded.closed.get(&(program, key))
                && *until > command.recorded_at
            {
                found = Some(found.unwrap_or_default().and(memory.clone()));
            }
        }
        found
    }

    /// Whoever left is known under no name any more; of each but cards a mark stays for a while (P3). Whoever is erased
    /// leaves nothing personal.
    pub(super) fn forget(
        &mut self,
        command: &Submission,
        member: MemberId,
        memory: &Memory,
        is_member: bool,
    ) -> Result<(), StoreError> {
        let program = command.program.number;
        let erases = command.what.erases();
        let memory = if erases { &memory.clone().without_birthdays() } else { memory };
        if erases && !is_member {
            // The marks that were left when they left tell no birthday either.
            for name in &self.profile_of(program, member)?.identifiers {
                self.writes.forget_birthday((program, self.context.secrets.identifier_key(program, name)));
            }
        }
        if is_member {
            let profile = self.profile_of(program, member)?;
            let versions = command.program.versions();
            let rules = versions.at(command.recorded_at);
            let kept = rules.definition.leaving.rejoin_memory;
            let until = rules.calendar.end(kept.after(rules.calendar.day(command.recorded_at)));
            for name in &profile.identifiers {
                let key = (program, self.context.secrets.identifier_key(program, name));
                let mark = (!kept.is_zero() && !name.starts_with("card:"))
                    .then(|| ClosedName::Left { until, memory: memory.clone() });
                self.writes.close_name(self.loaded, key, member, mark);
            }
        }
        if erases {
            self.writes.erase(program, member);
        }
        Ok(())
    }

    /// Names and personal data: claimed and sealed in the same transaction as the event that brought them.
    pub(super) fn personal(&mut self, command: &Submission, member: MemberId, is_new: bool) -> Result<(), StoreError> {
        let program = command.program.number;
        let subject = match &command.subject {
            Subject::Identifier(identifier) if is_new => Some(identifier),
            _ => None,
        };
        let renaming = match &command.what {
            What::Rename(renaming) => Some(renaming),
            _ => None,
        };
        if !is_new && renaming.is_none() && !command.has_personal_data() {
            return Ok(());
        }
        let mut profile = if is_new { Profile::default() } else { self.profile_of(program, member)? };
        for name in renaming.iter().flat_map(|renaming| &renaming.removed) {
            let blocked = renaming.is_some_and(|renaming| renaming.why == Removal::Replaced);
            let kept = blocked.then_some(ClosedName::Replaced);
            let is_other = |text: &String| self.context.secrets.identifier_key(program, text) != name.key;
            // A name of somebody who was merged stands with them.
            let owner = self.loaded.identifiers.get(&(program, name.key)).copied().unwrap_or(member);
            if owner == member {
                profile.identifiers.retain(is_other);
            } else {
                let mut theirs = self.profile_of(program, owner)?;
                theirs.identifiers.retain(|text| self.context.secrets.identifier_key(program, text) != name.key);
                let sealed = theirs.seal(&self.context.secrets, self.entropy);
                self.writes.profile(program, owner, sealed);
            }
            self.writes.close_name(self.loaded, (program, name.key), owner, kept);
        }
        for identifier in subject.into_iter().chain(&command.identifiers) {
            let text = identifier.to_text();
            let key = self.context.secrets.identifier_key(program, &text);
            if !self.loaded.identifiers.contains_key(&(program, key)) {
                self.writes.identifier(self.loaded, (program, key), member, command);
            }
            if !profile.identifiers.contains(&text) {
                profile.identifiers.push(text);
            }
        }
        profile.fields.extend(command.personal.iter().map(|(name, value)| (name.clone(), value.clone())));
        let sealed = profile.seal(&self.context.secrets, self.entropy);
        self.writes.profile(program, member, sealed);
        Ok(())
    }

    pub(super) fn profile_of(&mut self, program: i64, member: MemberId) -> Result<Profile, StoreError> {
        let rows = self.tx.fetch_by_keys(&tables::MEMBER_PROFILE, &[member_key(program, member)])?;
        let Some(row) = rows.first() else { return Ok(Profile::default()) };
        let sealed = SealedProfile { wrapped_key: row[3].bytes()?.to_vec(), data: row[4].bytes()?.to_vec() };
        Profile::open(&sealed, &self.context.secrets)
            .map_err(|error| StoreError::corrupt("member_profile", "data", error.to_string()))
    }
}
