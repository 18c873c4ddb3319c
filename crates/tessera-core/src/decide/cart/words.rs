//! What is said to customers, in English, Vietnamese and Thai.

use crate::program::{Id, Program, Texts};
use crate::quantity::Amount;

/// The language that something is said in, and the program whose names it uses.
#[derive(Clone, Copy)]
pub(super) struct Words<'p> {
    pub program: &'p Program,
    pub language: &'p str,
}

/// How amounts of a currency are signed; the others by their code.
const SIGNS: [(&str, &str); 8] =
    [("VND", "₫"), ("THB", "฿"), ("USD", "$"), ("EUR", "€"), ("GBP", "£"), ("JPY", "¥"), ("KRW", "₩"), ("PHP", "₱")];

impl Words<'_> {
    /// One of three sentences: English, Vietnamese, Thai.
    pub fn said(&self, [english, vietnamese, thai]: [String; 3]) -> String {
        match self.language {
            "vi" => vietnamese,
            "th" => thai,
            _ => english,
        }
    }

    pub fn name(&self, texts: Option<&Texts>, id: &Id) -> String {
        texts.and_then(|texts| texts.in_language(self.language)).map_or_else(|| id.to_string(), str::to_owned)
    }

    /// `40,000 ₫`, in Vietnamese `40.000 ₫`.
    pub fn money(&self, amount: Amount) -> String {
        let money = self.program.money;
        let sign = SIGNS.iter().find(|(code, _)| *code == money.code()).map_or(money.code(), |(_, sign)| sign);
        format!("{} {sign}", self.grouped(&amount.to_text(money.decimals())))
    }

    /// So many points with their name; a currency with digits behind the point shows them.
    pub fn points(&self, currency: &Id, amount: i64) -> String {
        let definition = self.program.currency(currency.as_str());
        let scale = definition.map_or(0, |known| known.scale.min(6));
        let exact = Amount::from_millionths(i128::from(amount) * 10_i128.pow(6 - scale));
        let name = self.name(definition.map(|known| &known.name), currency);
        format!("{} {name}", self.grouped(&exact.to_string()))
    }

    /// Digits in threes, as the language writes them.
    pub fn grouped(&self, number: &str) -> String {
        let (thousands, point) = if self.language == "vi" { ('.', ',') } else { (',', '.') };
        let (whole, fraction) = number.split_once('.').map_or((number, None), |(whole, rest)| (whole, Some(rest)));
        let mut text = String::new();
        for (place, digit) in whole.chars().enumerate() {
            if place > 0 && (whole.len() - place) % 3 == 0 {
                text.push(thousands);
            }
            text.push(digit);
        }
        if let Some(fraction) = fraction {
            text.push(point);
            text.push_str(fraction);
        }
        text
    }

    /// What there is to do: `spend 40,000 ₫ more`, `add 2 more items`, or both; of a kind where that is not all the same.
    pub fn wanted(&self, spend: Amount, lines: u32, of: &str) -> String {
        let money = self.money(spend);
        let item = if lines == 1 { "item" } else { "items" };
        let (english, vietnamese, thai) = match of {
            "" => (String::new(), String::new(), String::new()),
            of => (format!(" of {of}"), format!(" ({of})"), format!(" ({of})")),
        };
        match (spend.is_zero(), lines) {
            (_, 0) => self.said([
                format!("Spend {money} more{}", if of.is_empty() { String::new() } else { format!(" on {of}") }),
                format!("Mua thêm {money}{vietnamese}"),
                format!("ซื้อเพิ่ม {money}{thai}"),
            ]),
            (true, _) => self.said([
                format!("Add {lines} more {item}{english}"),
                format!("Mua thêm {lines} món{vietnamese}"),
                format!("ซื้อเพิ่ม {lines} รายการ{thai}"),
            ]),
            (false, _) => self.said([
                format!("Add {lines} more {item}{english} and spend {money} more"),
                format!("Mua thêm {lines} món{vietnamese} và chi thêm {money}"),
                format!("ซื้อเพิ่ม {lines} รายการ{thai} และซื้อเพิ่มอีก {money}"),
            ]),
        }
    }
}
