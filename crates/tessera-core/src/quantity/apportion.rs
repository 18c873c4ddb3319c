/// Shares a whole number out by weights with the largest-remainder method (Hamilton): the parts sum to the whole.
///
/// Ties go to the earlier part. Weights below zero count as zero; with no weight at all the first part takes all.
/// A negative whole is shared like its size, with the sign put back.
pub fn apportion(whole: i128, weights: &[i128]) -> Vec<i128> {
    if weights.is_empty() {
        return Vec::new();
    }
    let sum: i128 = weights.iter().map(|&weight| weight.max(0)).sum();
    let mut parts = vec![0; weights.len()];
    if sum == 0 {
        parts[0] = whole;
        return parts;
    }
    let (sign, size) = (whole.signum(), whole.abs());
    let mut remainders = Vec::with_capacity(weights.len());
    let mut shared = 0;
    for (index, &weight) in weights.iter().enumerate() {
        let product = size.saturating_mul(weight.max(0));
        parts[index] = product / sum;
        shared += parts[index];
        remainders.push((product % sum, index));
    }
    remainders.sort_by(|left, right| right.0.cmp(&left.0).then(left.1.cmp(&right.1)));
    let mut left = size - shared;
    for (_, index) in remainders {
        if left == 0 {
            break;
        }
        parts[index] += 1;
        left -= 1;
    }
    for part in &mut parts {
        *part *= sign;
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn m3_parts_sum_to_the_whole_and_ties_go_first() {
        assert_eq!(apportion(100, &[1, 1, 1]), [34, 33, 33]);
        assert_eq!(apportion(-100, &[1, 1, 1]), [-34, -33, -33]);
        assert_eq!(apportion(7, &[0, 0]), [7, 0]);
        assert_eq!(apportion(10, &[7, -5, 3]), [7, 0, 3]);
    }
}
