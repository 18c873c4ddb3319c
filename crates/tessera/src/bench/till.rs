//! What a till sends: purchases of two or three lines by random members, with everything a real one would say.

use std::fmt::Write;

use super::installation::{PROGRAM, phone};
use super::random::Random;

/// SKU, name, category, price in dong.
const MENU: [(&str, &str, &str, u32); 8] = [
    ("CF-SUA", "Ca phe sua da", "coffee", 39_000),
    ("LATTE", "Latte", "coffee", 60_000),
    ("COLD", "Cold brew cam", "coffee", 65_000),
    ("TRA-DAO", "Tra dao cam sa", "tea", 55_000),
    ("MATCHA", "Matcha latte", "tea", 65_000),
    ("CROIS", "Croissant bo", "food", 38_000),
    ("TIRA", "Tiramisu", "food", 49_000),
    ("BEANS", "Hat rang 250 g", "retail", 165_000),
];

/// One line of a basket.
#[derive(Clone, Copy, Debug)]
pub struct Line<'a> {
    pub sku: &'a str,
    pub name: &'a str,
    pub category: &'a str,
    pub price: u32,
    pub quantity: u32,
}

impl Line<'_> {
    pub fn amount(&self) -> u32 {
        self.price * self.quantity
    }
}

/// A till with its own source, its own numbers and a request that is written into the same memory each time.
#[derive(Debug)]
pub struct Till {
    random: Random,
    members: u32,
    number: u32,
    /// Tells this run's receipts from those of an earlier one in the same database.
    run: i64,
    key: String,
    sold: u64,
    body: String,
    request: String,
}

/// So many lines, each of one or, seldom, two of something.
pub fn basket(lines: u32, random: &mut Random) -> Vec<Line<'static>> {
    let line = |_| {
        let (sku, name, category, price) = random.pick(&MENU);
        Line { sku, name, category, price, quantity: 1 + u32::from(random.below(6) == 0) }
    };
    (0..lines).map(line).collect()
}

impl Till {
    pub fn new(seed: u64, number: u32, members: u32, run: i64, key: &str) -> Self {
        let random = Random::new(seed, u64::from(number) + 1);
        Self { random, members, number, run, key: key.to_owned(), sold: 0, body: String::new(), request: String::new() }
    }

    /// Somebody who comes to this till.
    pub fn member(&mut self) -> u32 {
        self.random.below(self.members)
    }

    /// Two or three lines.
    pub fn basket(&mut self) -> Vec<Line<'static>> {
        let lines = 2 + self.random.below(2);
        basket(lines, &mut self.random)
    }

    /// Two or three lines bought by anybody, so many times, as one request.
    pub fn purchases(&mut self, count: usize) -> &str {
        if count == 1 {
            let (member, lines) = (self.member(), self.basket());
            return self.purchase(member, &lines);
        }
        self.body.clear();
        self.body.push('[');
        for place in 0..count {
            if place > 0 {
                self.body.push(',');
            }
            let (member, lines) = (self.member(), self.basket());
            self.event(member, &lines);
            self.sold += 1;
        }
        self.body.push(']');
        self.post("events", "application/cloudevents-batch+json")
    }

    /// One purchase.
    pub fn purchase(&mut self, member: u32, lines: &[Line<'_>]) -> &str {
        self.body.clear();
        self.event(member, lines);
        self.sold += 1;
        self.post("events", "application/cloudevents+json")
    }

    /// Asks what the lines so far would bring, under the number that the purchase will have.
    pub fn quote(&mut self, member: u32, lines: &[Line<'_>]) -> &str {
        self.body.clear();
        self.event(member, lines);
        self.post("quotes", "application/cloudevents+json")
    }

    pub fn balances(&mut self, member: u32) -> &str {
        self.request.clear();
        let phone = phone(member).replace('+', "%2B");
        let Self { request, key, .. } = self;
        let _ = write!(
            request,
            "GET /v1/programs/{PROGRAM}/members/phone:{phone}/balances HTTP/1.1\r\nhost: tessera\r\nauthorization: Bearer {key}\r\n\r\n"
        );
        request
    }

    /// Adds an event to the body. Writing into a `String` cannot fail.
    fn event(&mut self, member: u32, lines: &[Line<'_>]) {
        let Self { number, run, sold, body, .. } = self;
        let phone = phone(member);
        let total: u32 = lines.iter().map(Line::amount).sum();
        let _ = write!(
            body,
            "{{\"specversion\":\"1.0\",\"id\":\"{run:x}-{sold}\",\"source\":\"till-{number}\",\"type\":\"purchase\",\"subject\":\"phone:{phone}\",\
             \"data\":{{\"order_id\":\"{run:x}-{number}-{sold}\",\"currency\":\"VND\",\"total\":{total},\"location\":\"nguyen-hue\",\
             \"channel\":\"counter\",\"payments\":[{{\"method\":\"card\",\"amount\":{total}}}],\"items\":["
        );
        for (place, Line { sku, name, category, price, quantity }) in lines.iter().enumerate() {
            let comma = if place > 0 { "," } else { "" };
            let line = place + 1;
            let _ = write!(
                body,
                "{comma}{{\"line\":\"{line}\",\"sku\":\"{sku}\",\"name\":\"{name}\",\"category\":\"{category}\",\"quantity\":{quantity},\"unit_price\":{price}}}"
            );
        }
        body.push_str("]}}");
    }

    fn post(&mut self, to: &str, kind: &str) -> &str {
        let Self { request, body, key, .. } = self;
        request.clear();
        let _ = write!(
            request,
            "POST /v1/programs/{PROGRAM}/{to} HTTP/1.1\r\nhost: tessera\r\nauthorization: Bearer {key}\r\ncontent-type: {kind}\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        request
    }
}
