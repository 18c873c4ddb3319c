//! Codes of gift cards and vouchers (V1): how they are made, read, and told from mistakes.

use proptest::prelude::*;
use tessera_core::code::{ALPHABET, Code, CodeError, last_four};

#[test]
fn v1_a_code_has_at_least_64_random_bits_beside_its_check_symbol() {
    let random_symbols = u32::try_from(Code::LENGTH - 1).unwrap();
    assert!(29_u128.pow(random_symbols) >= 1 << 64);
}

#[test]
fn v1_no_symbol_looks_like_another() {
    for symbol in "01OILUS".bytes() {
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
