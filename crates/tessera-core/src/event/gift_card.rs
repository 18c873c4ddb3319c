use super::What;

/// What is done with a gift card besides spending it, which is a redemption like any other. Amounts are in the smallest
/// units of the program's money; `code` is what is stored of a card's code: its keyed hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GiftCardStep {
    /// Makes the card. With 0 it is printed empty and loaded at the counter.
    Issue {
        code: [u8; 16],
        amount: i64,
    },
    TopUp {
        amount: i64,
    },
    /// A card that was lost pays for nothing.
    Block,
    Unblock,
    /// The same card under another code: the balance moves, the old code pays for nothing.
    Replace {
        code: [u8; 16],
    },
}

impl GiftCardStep {
    /// The event type's name.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Issue { .. } => "gift-card",
            Self::TopUp { .. } => "gift-card-top-up",
            Self::Block => "gift-card-block",
            Self::Unblock => "gift-card-unblock",
            Self::Replace { .. } => "gift-card-replacement",
        }
    }
}

impl What {
    /// Whether it may be about a gift card. Everything else is about members.
    pub const fn may_be_of_gift_card(&self) -> bool {
        matches!(self, Self::GiftCard(_) | Self::WakeUp) || self.is_redemption()
    }

    /// Whether it is about what is there now: never about the past.
    pub const fn is_about_now(&self) -> bool {
        matches!(self, Self::GiftCard(_)) || self.is_redemption()
    }

    /// Whether it makes a gift card.
    pub const fn makes_gift_card(&self) -> bool {
        matches!(self, Self::GiftCard(GiftCardStep::Issue { .. }))
    }
}
