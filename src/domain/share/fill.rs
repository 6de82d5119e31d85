//! Dividing too few shares among too many requests, deterministically (domain.md §5).

use serde::{Deserialize, Serialize};

use crate::domain::campaign::words;

words! {
    /// How shares are divided when more are asked for than there are.
    Method {
        /// The largest requests are cut down to one level.
        WaterFilling = "water_filling",
        /// Every request is cut by the same proportion.
        ProRata = "pro_rata",
    }
}

/// What each request gets of `supply` shares; requests in the order of their age, the
/// earliest first.
///
/// Nobody gets more than asked for. Odd shares go one each to the largest unmet requests,
/// among equals to the earliest. Whoever would get less than `minimum` gets none, and the
/// others get what that leaves: when not everybody can have the minimum, those with the
/// largest requests are served, among equals the earliest.
#[must_use]
pub fn fill(method: Method, supply: i64, minimum: i64, requests: &[i64]) -> Vec<i64> {
    let least = minimum.max(1);
    let mut order: Vec<usize> = (0..requests.len()).collect();
    let request = |index: usize| requests.get(index).copied().unwrap_or(0);
    order.retain(|&index| request(index) >= least);
    order.sort_by_key(|&index| (std::cmp::Reverse(request(index)), index));
    let served = match method {
        Method::WaterFilling => supply / least,
        Method::ProRata => served_pro_rata(&order, request, supply, least),
    };
    order.truncate(usize::try_from(served).unwrap_or(0));
    let total: i128 = order.iter().map(|&index| i128::from(request(index))).sum();
    let mut given = vec![0; requests.len()];
    let give = |given: &mut Vec<i64>, index: usize, units: i64| {
        if let Some(given) = given.get_mut(index) {
            *given += units;
        }
    };
    if total <= i128::from(supply) {
        for &index in &order {
            give(&mut given, index, request(index));
        }
        return given;
    }
    let mut left = supply;
    match method {
        Method::WaterFilling => {
            let level = level(&order, request, supply);
            for &index in &order {
                let units = request(index).min(level);
                give(&mut given, index, units);
                left -= units;
            }
        }
        Method::ProRata => {
            for &index in &order {
                let units = proportion(request(index), supply, total);
                give(&mut given, index, units);
                left -= units;
            }
        }
    }
    let unmet = |given: &[i64], index: usize| request(index) - given.get(index).unwrap_or(&0);
    order.retain(|&index| unmet(&given, index) > 0);
    order.sort_by_key(|&index| (std::cmp::Reverse(unmet(&given, index)), index));
    for index in order.into_iter().take(usize::try_from(left).unwrap_or(0)) {
        give(&mut given, index, 1);
    }
    given
}

/// The level to which the largest requests are cut: the most that all of them can have
/// alike once the smaller ones are met in full.
fn level(order: &[usize], request: impl Fn(usize) -> i64, supply: i64) -> i64 {
    let mut left = supply;
    let mut waiting = i64::try_from(order.len()).unwrap_or(i64::MAX);
    for &index in order.iter().rev() {
        let each = left / waiting.max(1);
        if request(index) > each {
            return each;
        }
        left -= request(index);
        waiting -= 1;
    }
    left
}

/// How many of the largest requests can be cut in proportion and still get `least` each.
/// The smallest of them gets least, and more the fewer they are.
fn served_pro_rata(
    order: &[usize],
    request: impl Fn(usize) -> i64,
    supply: i64,
    least: i64,
) -> i64 {
    let mut total: i128 = order.iter().map(|&index| i128::from(request(index))).sum();
    let mut served = i64::try_from(order.len()).unwrap_or(i64::MAX);
    for &index in order.iter().rev() {
        if total <= i128::from(supply) || proportion(request(index), supply, total) >= least {
            break;
        }
        total -= i128::from(request(index));
        served -= 1;
    }
    served
}

/// A request's part of the supply, rounded down.
fn proportion(request: i64, supply: i64, total: i128) -> i64 {
    let part = i128::from(request) * i128::from(supply);
    i64::try_from(part.checked_div(total).unwrap_or(0)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_largest_requests_are_cut_to_one_level() {
        let given = fill(Method::WaterFilling, 100, 0, &[5, 20, 60, 200]);
        assert_eq!(given, [5, 20, 37, 38]);
        let given = fill(Method::WaterFilling, 10, 0, &[4, 4, 4]);
        assert_eq!(given, [4, 3, 3]);
        assert_eq!(fill(Method::WaterFilling, 10, 0, &[3, 4]), [3, 4]);
        assert_eq!(fill(Method::WaterFilling, 0, 0, &[3, 4]), [0, 0]);
    }

    #[test]
    fn every_request_is_cut_by_the_same_proportion() {
        // 100 of 285: 1.75, 7.02, 21.05, 70.18; the odd share goes to the largest unmet one.
        let given = fill(Method::ProRata, 100, 0, &[5, 20, 60, 200]);
        assert_eq!(given, [1, 7, 21, 71]);
    }

    #[test]
    fn whoever_would_get_less_than_the_minimum_gets_none() {
        assert_eq!(
            fill(Method::WaterFilling, 100, 10, &[5, 20, 60, 200]),
            [0, 20, 40, 40]
        );
        assert_eq!(
            fill(Method::WaterFilling, 25, 10, &[15, 15, 15]),
            [13, 12, 0]
        );
        assert_eq!(
            fill(Method::ProRata, 100, 10, &[5, 20, 60, 200]),
            [0, 0, 23, 77]
        );
    }

    proptest! {
        #[test]
        fn shares_are_neither_made_nor_lost(
            supply in 0_i64..500,
            minimum in 0_i64..20,
            requests in prop::collection::vec(0_i64..100, 0..40),
            pro_rata: bool,
        ) {
            let method = if pro_rata { Method::ProRata } else { Method::WaterFilling };
            let given = fill(method, supply, minimum, &requests);
            let eligible: i64 = requests.iter().filter(|&&units| units >= minimum.max(1)).sum();
            let sum: i64 = given.iter().sum();
            prop_assert!(sum <= supply);
            for (given, request) in given.iter().zip(&requests) {
                prop_assert!(given <= request);
                prop_assert!(*given == 0 || *given >= minimum);
            }
            if minimum <= 1 {
                prop_assert_eq!(sum, eligible.min(supply));
            }
            // A larger request never gets less; among equals the earlier gets no less.
            for (i, a) in requests.iter().enumerate() {
                for (j, b) in requests.iter().enumerate() {
                    if a > b || (a == b && i < j) {
                        prop_assert!(given[i] >= given[j], "{requests:?} {given:?}");
                    }
                }
            }
            // Water-filling levels: whoever is cut has at most one share less than anybody.
            if method == Method::WaterFilling {
                let most = given.iter().max().copied().unwrap_or(0);
                for (given, request) in given.iter().zip(&requests) {
                    prop_assert!(*given == 0 || given == request || *given + 1 >= most);
                }
            }
        }
    }
}
