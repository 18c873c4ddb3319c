use serde_json::json;

use super::random::Random;

const FAMILY: [&str; 14] =
    ["Nguyễn", "Trần", "Lê", "Phạm", "Hoàng", "Huỳnh", "Phan", "Vũ", "Võ", "Đặng", "Bùi", "Đỗ", "Hồ", "Ngô"];
const MIDDLE: [&str; 8] = ["Thị", "Văn", "Minh", "Ngọc", "Thanh", "Quốc", "Hồng", "Đức"];
const GIVEN: [&str; 18] = [
    "An", "Bình", "Châu", "Dũng", "Giang", "Hà", "Hiếu", "Khai", "Lan", "Linh", "Mai", "Nam", "Phúc", "Quân", "Thảo",
    "Trang", "Tuấn", "Vy",
];
const THAI: [&str; 6] = ["สมชาย ใจดี", "สุดา แสงทอง", "อนันต์ ศรีสุข", "กนกวรรณ พูลผล", "ธนา วงศ์ไทย", "มาลี บุญมี"];
const ENGLISH: [&str; 6] = ["Emma Clarke", "Daniel Novak", "Priya Raman", "Lucas Martin", "Sofia Rossi", "Tom Becker"];

/// The number of a member's phone: not one that anybody has.
pub fn phone(member: u32) -> String {
    format!("+849{member:08}")
}

/// What a member tells when they join.
pub fn profile(member: u32, random: &mut Random) -> String {
    let (name, language) = match random.below(100) {
        0..=3 => (random.pick(&THAI).to_owned(), "th"),
        4..=9 => (random.pick(&ENGLISH).to_owned(), "en"),
        _ => (format!("{} {} {}", random.pick(&FAMILY), random.pick(&MIDDLE), random.pick(&GIVEN)), "vi"),
    };
    let mut profile = json!({ "name": name, "language": language });
    // Two in three tell their birthday.
    if member == 1 || random.below(3) > 0 {
        let (year, month, day) = (1960 + random.below(46), 1 + random.below(12), 1 + random.below(28));
        profile["birthday"] = json!(format!("{year}-{month:02}-{day:02}"));
    }
    profile.to_string()
}
