//! Codes of gift cards, vouchers, receipts and referral (V1): how they are made, read, and told from mistakes.

use proptest::prelude::*;
use tessera_core::code::{
    ALPHABET, CODE_MAX, Code, CodeError, LENGTHS, NotACode, grouped, has_check, is_mistyped, last_four, normalise,
    on_pack_most, spoken_space,
};

#[test]
fn v1_a_code_has_at_least_64_random_bits_beside_its_check_symbol() {
    let random_symbols = u32::try_from(Code::LENGTH - 1).unwrap();
    assert!(23_u128.pow(random_symbols) >= 1 << 64);
    assert_eq!(spoken_space(Code::LENGTH), 23_u128.pow(random_symbols));
}

#[test]
fn v1_no_symbol_looks_like_another() {
    for symbol in "01OILUAESZBQY".bytes() {
        assert!(!ALPHABET.contains(&symbol), "{}", char::from(symbol));
    }
}

#[test]
fn v1_a_code_is_shown_in_groups_of_four_and_for_developers_only_by_its_end() {
    let code = Code::from_entropy([7; 16]);
    let text = code.to_string();
    assert_eq!(text.len(), 19);
    assert_eq!(text.split('-').map(str::len).collect::<Vec<_>>(), [4, 4, 4, 4]);
    assert!(!format!("{code:?}").contains(&text[..4]));
    assert!(text.ends_with(code.last_four()));
    assert_eq!((last_four("PRINTED 12345"), last_four("abc")), ("2345", "abc"));
}

#[test]
fn v1_what_cannot_be_a_code_says_why() {
    assert_eq!(Code::parse("2345-6O89"), Err(CodeError::Symbol { found: 'O' }));
    assert_eq!(Code::parse("2345"), Err(CodeError::Length { found: 4 }));
    assert_eq!(Code::parse(&"2".repeat(40)), Err(CodeError::Length { found: 40 }));
    assert_eq!(Code::parse(""), Err(CodeError::Length { found: 0 }));
}

#[test]
fn v1_a_code_from_elsewhere_is_the_same_however_it_is_typed() {
    assert_eq!(normalise(" abcd-2345 efgh\t").unwrap(), "ABCD2345EFGH");
    assert_eq!(normalise("TET\u{2013}2026").unwrap(), "TET2026", "a telephone makes a dash of a hyphen");
    assert_eq!(normalise("tet_2026.vn").unwrap(), "TET_2026.VN");
    assert_eq!(grouped("ABCD2345EFGH"), "ABCD-2345-EFGH");
    let long = "X".repeat(CODE_MAX + 1);
    for wrong in ["", "abc", " - - ", "mã-giảm-giá", long.as_str()] {
        assert_eq!(normalise(wrong), Err(NotACode), "{wrong}");
    }
}

#[test]
fn v1_one_valid_code_in_a_million_guesses() {
    assert_eq!(on_pack_most(8), 3_404);
    assert_eq!(on_pack_most(9), 78_310);
    assert_eq!(on_pack_most(10), 1_801_152);
    assert!(u128::try_from(on_pack_most(10)).unwrap() * 1_000_000 <= spoken_space(10));
}

#[test]
fn v1_every_wrong_symbol_and_every_two_that_changed_places_are_noticed() {
    for length in [Code::SHORTEST, *LENGTHS.start(), Code::LENGTH, Code::LONGEST] {
        for seed in 0..8 {
            let right = Code::of_length([seed * 31 + 7; 16], length);
            let right = right.as_str();
            let noticed = |text: &str| {
                assert_eq!(Code::parse(text), Err(CodeError::Check), "{right}: {text}");
                if LENGTHS.contains(&length) {
                    assert!(is_mistyped(text) && !has_check(text) && has_check(right) && !is_mistyped(right));
                }
            };
            for place in 0..length {
                for wrong in ALPHABET.iter().filter(|wrong| **wrong != right.as_bytes()[place]) {
                    let mut bytes = right.as_bytes().to_vec();
                    bytes[place] = *wrong;
                    noticed(std::str::from_utf8(&bytes).unwrap());
                }
                for other in 0..place {
                    let mut bytes = right.as_bytes().to_vec();
                    bytes.swap(place, other);
                    let text = std::str::from_utf8(&bytes).unwrap();
                    if text != right {
                        noticed(text);
                    }
                }
            }
        }
    }
}

proptest! {
    #[test]
    fn v1_a_code_is_read_however_it_is_typed(entropy: [u8; 16], length in Code::SHORTEST..=Code::LONGEST) {
        let code = Code::of_length(entropy, length);
        prop_assert_eq!(code.as_str().len(), length);
        let typed = format!(" {} ", code.to_string().to_lowercase().replace('-', " - "));
        prop_assert_eq!(Code::parse(&typed), Ok(code.clone()));
        prop_assert_eq!(code.as_str().parse(), Ok(code));
    }

    #[test]
    fn v1_one_mistake_or_two_symbols_in_each_others_place_are_found(
        entropy: [u8; 16],
        (place, other) in (0..Code::LENGTH, 0..Code::LENGTH),
        symbol in prop::sample::select(ALPHABET.to_vec()),
    ) {
        let code = Code::from_entropy(entropy);
        let mut mistyped = code.as_str().as_bytes().to_vec();
        mistyped[place] = symbol;
        let mut swapped = code.as_str().as_bytes().to_vec();
        swapped.swap(place, other);
        for text in [mistyped, swapped] {
            let text = String::from_utf8(text).unwrap();
            let expected = if text == code.as_str() { Ok(code.clone()) } else { Err(CodeError::Check) };
            prop_assert_eq!(Code::parse(&text), expected);
        }
    }
}
