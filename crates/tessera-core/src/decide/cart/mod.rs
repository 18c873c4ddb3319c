//! A cart, evaluated (with nothing written): what its lines cost the member, the vouchers that save most, what it then
//! brings, what is missing to more, and what can be had now.

mod best;
mod price;
mod purchase;
mod search;

pub use best::{Best, Considered, RunnerUp, VoucherSaving};
pub use price::LinePrice;
pub use search::{PRICES_TRIED_MAX, VOUCHERS_TRIED_MAX, WORK_MAX};
use serde::Serialize;

use super::working::{Past, Working};
use super::{Decision, Inputs, Rejected, decide};
use crate::event::{Command, Order, What};
use crate::member::Status;

/// What is wanted of a cart besides what it brings.
#[derive(Clone, Debug, Default)]
pub struct CartAsk {
    /// The vouchers and member prices that save most; the cart is then decided with these.
    pub best: bool,
    /// The language of names and of what is said to customers.
    pub language: String,
    /// Whether codes of the member may be missing in the inputs: nothing is proven then.
    pub not_all_codes: bool,
}

/// What was found.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Cart {
    /// What lines cost the member less, by itself; `best` says what goes together with vouchers.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub prices: Vec<LinePrice>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub best: Option<Best>,
}

/// Decides a purchase that may never come, and says what its customer wants to know before. Anything else is decided as
/// it is, and so is an order in a foreign currency.
///
/// # Errors
/// As the purchase would be refused.
pub fn decide_cart(inputs: &Inputs<'_>, command: &Command, ask: &CartAsk) -> Result<(Decision, Cart), Rejected> {
    let What::Purchase(order) = &command.what else { return Ok((decide(inputs, command)?, Cart::default())) };
    let mut cart = Cart::default();
    let mut command = command.clone();
    if let Some(working) = settled(inputs, &command)
        && is_own(&working, order)
    {
        let member = working.past().map_or(&working.state, |Past { member, .. }| member);
        let at = working.at_effective();
        // They are for members: a guest, or somebody who would only join with it, has none.
        let has_prices = inputs.state.is_some_and(|state| state.status == Status::Active);
        let prices = if has_prices { price::rules(&working.program, member, order, at) } else { Vec::new() };
        let all = price::priced(order, &prices, &price::lowest(order, &prices));
        cart.prices = all.map(|all| price::views(order, &prices, &all, &ask.language)).unwrap_or_default();
        if ask.best {
            let codes = working.known_codes();
            let found = working.look(&codes, |look| best::best(look, &working.program, order, &prices, &ask.language));
            let found = Best {
                proven: found.proven && !ask.not_all_codes,
                purchase: purchase::data(inputs.payload, &found.order),
                ..found
            };
            command.what = What::Purchase(found.order.clone());
            cart.best = Some(found);
        }
    }
    Ok((decide(inputs, &command)?, cart))
}

/// The member as they are at the time of a command, with what fell due until then (I7).
fn settled<'a>(inputs: &'a Inputs<'a>, command: &Command) -> Option<Working<'a>> {
    let is_known = inputs.state.is_some_and(|state| state.status == Status::Active);
    let mut working = Working::begin(inputs, command).ok()?;
    if is_known {
        working.settle(command.effective_at);
    }
    working.program = inputs.versions.at(command.effective_at).clone();
    Some(working)
}

fn is_own(working: &Working<'_>, order: &Order) -> bool {
    order.currency.is_empty() || order.currency == working.program.definition.currency.as_str()
}
