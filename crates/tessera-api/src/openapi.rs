//! The description of the API, made of the routes themselves: what is not described is not served.

use utoipa::openapi::path::Operation;
use utoipa::openapi::response::ResponseBuilder;
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityScheme};
use utoipa::openapi::{Content, Ref};
use utoipa::{Modify, OpenApi};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::AppState;
use crate::routes::{
    adjustments, benefits, card_prints, cases, document, draws, events, fulfilment, gift_cards, health, households,
    leaderboards, members, memberships, merge, moving, partners, people, possession, progress, redemptions, referrals,
    rewards, tiers, transfers, voucher_codes, vouchers,
};

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Tessera",
        version = "1",
        description = "One loyalty program, described in one document, that answers everywhere the same.\n\nEvery event goes through `POST /v1/programs/{program}/events`; `source` and `id` make it safe to send again. Every refusal is a problem (RFC 9457) with a stable `type` and the facts as fields.",
        license(name = "MIT OR Apache-2.0")
    ),
    modifiers(&Security),
    tags(
        (name = "events", description = "What happened: purchases, returns and whatever the program declares"),
        (name = "members", description = "What members have, and why"),
        (name = "adjustments", description = "Balances changed by hand: asked for, approved, rejected, undone"),
        (name = "redemptions", description = "Spending points: quote, reserve, capture or void, return; sending them to another member"),
        (name = "memberships", description = "Clubs that members pay to be in"),
        (name = "benefits", description = "What members have besides points, and its use"),
        (name = "vouchers", description = "Codes: what one gives, using it, taking a use back"),
        (name = "gift-cards", description = "Money on cards: made, loaded, spent in parts, blocked, replaced"),
        (name = "partners", description = "E-gifts of others: what they say of orders, and how their lists stand against ours"),
        (name = "cases", description = "What was more than a velocity rule lets pass, and what came of it"),
        (name = "document", description = "The program itself, versioned"),
        (name = "operations", description = "Is it well?")
    )
)]
struct Description;

struct Security;

impl Modify for Security {
    fn modify(&self, openapi: &mut utoipa::openapi::OpenApi) {
        let components = openapi.components.get_or_insert_default();
        components.add_security_scheme("key", SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer)));
    }
}

/// What every address of a program may answer, where it does not say so in its own words.
const EVERYWHERE: [(&str, &str); 2] = [
    ("4XX", "A problem: what was wrong, and what would be right"),
    ("503", "Come back in a second, with the same key or id"),
];

fn may_answer_everywhere(operation: &mut Operation) {
    for (status, description) in EVERYWHERE {
        let problem = Content::new(Some(Ref::from_schema_name("Problem")));
        let response = ResponseBuilder::new().description(description).content("application/problem+json", problem);
        operation.responses.responses.entry(status.to_owned()).or_insert_with(|| response.build().into());
    }
}

pub(crate) fn routes() -> OpenApiRouter<AppState> {
    let mut routes = all();
    for (path, item) in &mut routes.get_openapi_mut().paths.paths {
        if path.starts_with("/v1/") {
            let methods = [&mut item.get, &mut item.post, &mut item.put, &mut item.patch, &mut item.delete];
            methods.into_iter().flatten().for_each(may_answer_everywhere);
        }
    }
    routes
}

fn all() -> OpenApiRouter<AppState> {
    OpenApiRouter::with_openapi(Description::openapi())
        .routes(routes!(events::create_event))
        .routes(routes!(events::show_event))
        .routes(routes!(events::create_quote))
        .routes(routes!(members::list_members, members::create_member))
        .routes(routes!(members::show_member, members::update_member, people::delete_member))
        .routes(routes!(people::list_identifiers, people::create_identifier))
        .routes(routes!(people::delete_identifier))
        .routes(routes!(people::create_claim))
        .routes(routes!(merge::create_merge))
        .routes(routes!(merge::create_merge_undo))
        .routes(routes!(members::list_balances))
        .routes(routes!(members::list_entries))
        .routes(routes!(members::list_lots))
        .routes(routes!(members::list_events))
        .routes(routes!(members::list_vouchers))
        .routes(routes!(members::list_tiers))
        .routes(routes!(moving::create_moving_in))
        .routes(routes!(draws::list_draws))
        .routes(routes!(leaderboards::show_leaderboard))
        .routes(routes!(leaderboards::create_leaderboard_close))
        .routes(routes!(tiers::create_placement))
        .routes(routes!(benefits::list_entitlements))
        .routes(routes!(benefits::create_benefit_use))
        .routes(routes!(benefits::create_benefit_return))
        .routes(routes!(benefits::list_benefits))
        .routes(routes!(memberships::list_memberships, memberships::create_membership))
        .routes(routes!(memberships::create_cancellation))
        .routes(routes!(memberships::show_membership_refund, memberships::create_membership_refund))
        .routes(routes!(adjustments::list_adjustments, adjustments::create_adjustment))
        .routes(routes!(adjustments::show_adjustment))
        .routes(routes!(adjustments::create_approval))
        .routes(routes!(adjustments::create_rejection))
        .routes(routes!(adjustments::create_undo))
        .routes(routes!(progress::show_progress))
        .routes(routes!(progress::create_participation))
        .routes(routes!(redemptions::create_redemption))
        .routes(routes!(redemptions::create_redemption_quote))
        .routes(routes!(redemptions::show_redemption))
        .routes(routes!(redemptions::create_capture))
        .routes(routes!(redemptions::create_void))
        .routes(routes!(redemptions::create_redemption_return))
        .routes(routes!(redemptions::list_redemptions))
        .routes(routes!(fulfilment::create_fulfilment))
        .routes(routes!(fulfilment::list_fulfilments))
        .routes(routes!(fulfilment::create_place, fulfilment::list_places))
        .routes(routes!(transfers::create_transfer))
        .routes(routes!(transfers::list_transfers))
        .routes(routes!(possession::show_card))
        .routes(routes!(possession::create_one_time_code))
        .routes(routes!(referrals::show_referral))
        .routes(routes!(referrals::list_referrals))
        .routes(routes!(rewards::list_rewards))
        .routes(routes!(rewards::list_code_pools))
        .routes(routes!(rewards::create_codes))
        .routes(routes!(rewards::list_causes))
        .routes(routes!(rewards::show_cause))
        .routes(routes!(rewards::list_donations))
        .routes(routes!(partners::list_shops))
        .routes(routes!(partners::create_partner_notice))
        .routes(routes!(partners::list_partner_orders))
        .routes(routes!(partners::create_partner_reconciliation))
        .routes(routes!(vouchers::create_voucher_validation))
        .routes(routes!(vouchers::show_voucher))
        .routes(routes!(vouchers::create_voucher_redemption))
        .routes(routes!(vouchers::create_voucher_rollback))
        .routes(routes!(voucher_codes::create_voucher_codes))
        .routes(routes!(voucher_codes::create_voucher_import))
        .routes(routes!(voucher_codes::list_voucher_batches))
        .routes(routes!(voucher_codes::list_voucher_codes))
        .routes(routes!(voucher_codes::create_voucher_void))
        .routes(routes!(voucher_codes::create_voucher_batch_void))
        .routes(routes!(gift_cards::list_gift_cards, gift_cards::create_gift_card))
        .routes(routes!(card_prints::create_gift_cards))
        .routes(routes!(gift_cards::show_gift_card))
        .routes(routes!(gift_cards::list_movements))
        .routes(routes!(gift_cards::create_top_up))
        .routes(routes!(gift_cards::create_block))
        .routes(routes!(gift_cards::create_unblock))
        .routes(routes!(gift_cards::create_card_void))
        .routes(routes!(gift_cards::create_replacement))
        .routes(routes!(gift_cards::create_payment))
        .routes(routes!(gift_cards::create_payment_quote))
        .routes(routes!(cases::list_cases))
        .routes(routes!(cases::show_case))
        .routes(routes!(cases::create_case_taking))
        .routes(routes!(cases::create_case_closing))
        .routes(routes!(cases::create_case_allowance))
        .routes(routes!(cases::create_freeze))
        .routes(routes!(cases::create_thaw))
        .routes(routes!(households::create_household))
        .routes(routes!(households::show_household))
        .routes(routes!(households::list_pool_entries))
        .routes(routes!(households::create_invitation))
        .routes(routes!(households::create_person))
        .routes(routes!(households::create_household_leave))
        .routes(routes!(households::create_removal))
        .routes(routes!(households::create_head))
        .routes(routes!(households::create_contribution))
        .routes(routes!(document::show_document, document::replace_document))
        .routes(routes!(document::plan_document))
        .routes(routes!(document::list_versions))
        .routes(routes!(health::show_health))
        .routes(routes!(health::show_readiness))
        .routes(routes!(health::list_metrics))
}

/// The OpenAPI 3.1 document.
pub fn document() -> utoipa::openapi::OpenApi {
    routes().split_for_parts().1
}
