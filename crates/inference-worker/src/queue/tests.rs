use std::sync::Arc;
use std::time::Duration;

use leat_contract::Encoding;

use super::*;

/// A number that waits for an hour unless told otherwise.
#[derive(Debug)]
struct Item {
    number: u32,
    priority: Priority,
    bytes: usize,
    cost_ns: u64,
    until: Instant,
    claim: Option<Arc<Claim>>,
}

impl Queued for Item {
    fn priority(&self) -> Priority {
        self.priority
    }

    fn bytes(&self) -> usize {
        self.bytes
    }

    fn cost_ns(&self) -> u64 {
        self.cost_ns
    }

    fn until(&self) -> Instant {
        self.until
    }

    fn claim(&self) -> Option<&Arc<Claim>> {
        self.claim.as_ref()
    }
}

const HOUR: Duration = Duration::from_secs(3600);

fn enough(count: usize, wait: Duration) -> Enough {
    Enough { count, until: Instant::now() + wait }
}

fn item(number: u32) -> Item {
    of(Priority::Normal, number)
}

fn of(priority: Priority, number: u32) -> Item {
    let until = Instant::now() + HOUR;
    Item { number, priority, bytes: 10, cost_ns: 100, until, claim: None }
}

fn queue(count: usize) -> Queue<Item> {
    Queue::new(Capacity { count, bytes: 1_000_000 }, 1)
}

fn filled(count: usize, items: Vec<Item>) -> Queue<Item> {
    let queue = queue(count);
    assert_eq!(put(&queue, items), [0_u32; 0]);
    queue
}

/// Puts and gives the numbers of what is refused.
fn put(queue: &Queue<Item>, mut items: Vec<Item>) -> Vec<u32> {
    let mut refused = Vec::new();
    queue.put(&mut items, &mut refused);
    assert!(items.is_empty());
    numbers(&refused)
}

fn numbers(items: &[Item]) -> Vec<u32> {
    items.iter().map(|item| item.number).collect()
}

fn take(queue: &Queue<Item>, count_max: usize) -> Vec<u32> {
    let mut taken = Vec::new();
    assert!(queue.take(0, &mut taken, count_max));
    numbers(&taken)
}

#[test]
fn what_does_not_fit_is_refused() {
    let queue = queue(3);
    assert_eq!(put(&queue, (1..=5).map(item).collect()), [4, 5]);
    assert_eq!(queue.len(), 3);
    let queue = Queue::new(Capacity { count: 100, bytes: 25 }, 1);
    assert_eq!(put(&queue, (1..=5).map(item).collect()), [3, 4, 5]);
}

#[test]
fn gives_what_is_ready_in_order_up_to_the_limit() {
    let queue = filled(8, (1..=3).map(item).collect());
    assert_eq!(take(&queue, 2), [1, 2]);
    assert_eq!(take(&queue, 2), [3]);
}

#[test]
fn room_is_made_among_items_of_a_kind_or_not_at_all() {
    let [high, normal, low] = Priority::ALL;
    let fill =
        || filled(9, vec![of(low, 1), of(normal, 2), of(low, 3), of(normal, 4), of(low, 5), of(high, 6)]);
    let is_odd = |item: &Item| item.number % 2 == 1;
    let out = |than, count, bytes| {
        let queue = fill();
        let pushed_out = numbers(&queue.push_out(than, Excess { count, bytes }, is_odd));
        assert_eq!(queue.len() + pushed_out.len(), 6);
        (pushed_out, queue.backlog().waiting())
    };
    assert_eq!(out(normal, 1, 0), (vec![5], 5));
    assert_eq!(out(high, 0, 15), (vec![5, 3], 4));
    assert_eq!(out(normal, 4, 0), (vec![], 6), "there are three of the kind");
    assert_eq!(out(normal, 1, 31), (vec![], 6), "of 30 bytes");
    assert_eq!(out(low, 1, 0), (vec![], 6), "nothing is less urgent");
    let queue = fill();
    let any = |_: &Item| true;
    assert_eq!(numbers(&queue.push_out(high, Excess { count: 4, bytes: 0 }, any)), [5, 3, 1, 4]);
    assert_eq!(take(&queue, 9), [6, 2]);
}

#[test]
fn what_is_urgent_is_taken_first_and_pushes_out_what_came_last_of_the_rest() {
    let [high, normal, low] = Priority::ALL;
    let queue = filled(4, vec![of(low, 1), of(normal, 2), of(low, 3), of(normal, 4)]);
    assert_eq!(put(&queue, vec![of(low, 5)]), [5], "nothing is less urgent");
    assert_eq!(put(&queue, vec![of(high, 6)]), [3]);
    assert_eq!(put(&queue, vec![of(normal, 7), of(normal, 8)]), [1, 8]);
    assert_eq!(take(&queue, 3), [6, 2, 4]);
    assert_eq!(take(&queue, 3), [7]);
}

#[test]
fn what_is_urgent_shares_no_batch_with_what_is_not_and_takes_long() {
    let long = |priority, number| Item { cost_ns: 900_000, ..of(priority, number) };
    let queue = filled(9, vec![long(Priority::Low, 1), of(Priority::High, 2), of(Priority::Normal, 3)]);
    put(&queue, vec![long(Priority::Low, 4), long(Priority::Low, 5)]);
    assert_eq!(take(&queue, 9), [2, 3, 1], "together they do not take long");
    assert_eq!(take(&queue, 9), [4, 5], "neither is more urgent");
    put(&queue, vec![long(Priority::High, 6), long(Priority::High, 7), of(Priority::Low, 8)]);
    assert_eq!(take(&queue, 9), [6, 7, 8], "what takes long is itself urgent");

    let queue = filled(9, vec![long(Priority::Low, 1), long(Priority::Low, 2), of(Priority::High, 3)]);
    let mut taken = vec![of(Priority::High, 0)];
    queue.take_until(0, &mut taken, enough(9, HOUR), |_| true);
    assert_eq!(numbers(&taken), [0, 3, 1], "it ends with what is left to others");
    assert_eq!(take(&queue, 9), [2]);
}

#[test]
fn nothing_is_pushed_out_in_vain() {
    let [high, normal, low] = Priority::ALL;
    let queue = Queue::new(Capacity { count: 10, bytes: 30 }, 1);
    assert_eq!(put(&queue, vec![of(normal, 1), of(normal, 2), of(low, 3)]), [0_u32; 0]);
    let large = Item { bytes: 25, ..of(normal, 4) };
    assert_eq!(put(&queue, vec![large]), [4]);
    assert_eq!(queue.len(), 3);
    assert_eq!(put(&queue, vec![Item { bytes: 25, ..of(high, 5) }]), [3, 2, 1]);
}

#[test]
fn a_closed_queue_gives_what_it_holds_and_then_ends() {
    let queue = filled(8, vec![item(1)]);
    queue.close();
    assert_eq!(put(&queue, vec![item(2)]), [2]);
    assert_eq!(take(&queue, 8), [1]);
    assert!(!queue.take(0, &mut Vec::new(), 8));
}

#[test]
fn closing_wakes_who_waits() {
    let queue = Arc::new(queue(8));
    let waiting = std::thread::spawn({
        let queue = queue.clone();
        move || queue.take(0, &mut Vec::new(), 1)
    });
    queue.close();
    assert!(!waiting.join().unwrap());
}

#[test]
fn waiting_for_more_ends_when_there_is_enough_or_time_is_up() {
    let queue = filled(8, (1..=3).map(item).collect());
    let mut taken = Vec::new();
    queue.take_until(0, &mut taken, enough(2, HOUR), |_| true);
    assert_eq!(numbers(&taken), [1, 2]);
    queue.take_until(0, &mut taken, enough(9, Duration::from_millis(5)), |_| true);
    assert_eq!(numbers(&taken), [1, 2, 3]);
}

#[test]
fn waiting_for_more_ends_with_one_that_cannot_wait() {
    let queue = filled(8, vec![item(1), item(2), item(30)]);
    let mut taken = Vec::new();
    let can_wait = |item: &Item| item.number < 10;
    queue.take_until(0, &mut taken, enough(8, HOUR), can_wait);
    assert_eq!(numbers(&taken), [1, 2, 30]);
}

#[test]
fn the_backlog_is_what_comes_before_and_what_is_being_done() {
    let [high, normal, low] = Priority::ALL;
    let queue = filled(8, vec![of(low, 1), of(normal, 2), of(normal, 3), of(high, 4)]);
    let before = |queue: &Queue<Item>| Priority::ALL.map(|priority| queue.backlog().before(priority));
    assert_eq!(before(&queue), [100, 300, 400]);
    assert_eq!(take(&queue, 2), [4, 2]);
    assert_eq!(before(&queue), [200, 300, 400]);
    assert_eq!(take(&queue, 8), [3, 1]);
    assert_eq!(before(&queue), [200, 200, 200], "what was taken before is done");
    let mut backlog = queue.backlog();
    backlog.add(normal, 50);
    assert_eq!(Priority::ALL.map(|priority| backlog.before(priority)), [200, 250, 250]);
}

#[test]
fn what_waited_too_long_is_swept_out_and_the_next_sweep_is_when_the_next_is_over() {
    let now = Instant::now();
    let at = |number: u32| Item { until: now + Duration::from_millis(number.into()), ..item(number) };
    let queue = queue(8);
    let mut refused = Vec::new();
    assert!(queue.put(&mut vec![at(30), at(10), at(20)], &mut refused), "nobody would have swept");
    let swept = queue.sweep(now + Duration::from_millis(10));
    assert_eq!((numbers(&swept.expired), swept.next), (vec![10], Some(now + Duration::from_millis(20))));
    assert!(!queue.put(&mut vec![at(25)], &mut refused), "somebody sweeps before");
    assert!(queue.put(&mut vec![at(15)], &mut refused));
    let swept = queue.sweep(now + Duration::from_millis(40));
    assert_eq!((numbers(&swept.expired), swept.next), (vec![30, 20, 25, 15], None));
    assert_eq!((queue.len(), queue.backlog().before(Priority::Low)), (0, 0));
}

#[test]
fn what_is_worked_on_past_its_deadline_is_answered_by_whoever_sweeps_and_only_once() {
    let now = Instant::now();
    let claim = |deadline_ms| Arc::new(Claim::new(now, deadline_ms, "reply".into(), Encoding::Json));
    let (soon, later, done) = (claim(10), claim(20), claim(10));
    let with = |number, claim: &Arc<Claim>| Item { claim: Some(claim.clone()), ..item(number) };
    let queue = filled(8, vec![with(1, &soon), with(2, &later), with(3, &done)]);
    assert_eq!(take(&queue, 8), [1, 2, 3]);
    assert!(done.take());
    let swept = queue.sweep(now + Duration::from_millis(10));
    assert_eq!((swept.late.len(), swept.next), (1, Some(later.due)));
    assert!(Arc::ptr_eq(&swept.late[0], &soon) && !soon.take());
    assert!(queue.sweep(now + Duration::from_millis(11)).late.is_empty());
    queue.close();
    assert!(!queue.take(0, &mut Vec::new(), 8));
    assert_eq!(queue.sweep(now + Duration::from_secs(1)).late.len(), 0, "the thread has finished it");
}

#[test]
fn what_is_parked_counts_as_waiting_and_is_not_taken() {
    let queue = filled(3, vec![item(1), item(2)]);
    let mut taken = Vec::new();
    assert!(queue.take(0, &mut taken, 8));
    taken.into_iter().for_each(|item| assert!(queue.park(item)));
    assert_eq!(put(&queue, vec![item(3), item(4)]), [4]);
    assert_eq!(take(&queue, 8), [3]);
    assert_eq!(numbers(&queue.unpark(|item| item.number == 2)), [2]);
    assert_eq!(queue.len(), 1);
    let swept = queue.sweep(Instant::now() + 2 * HOUR);
    assert_eq!((numbers(&swept.expired), queue.len()), (vec![1], 0));
}

#[test]
fn what_is_parked_gives_way_to_what_is_urgent() {
    let [high, normal, low] = Priority::ALL;
    let parked = || {
        let queue = filled(4, vec![of(low, 1), of(normal, 2)]);
        let mut taken = Vec::new();
        assert!(queue.take(0, &mut taken, 8));
        taken.into_iter().for_each(|item| assert!(queue.park(item)));
        assert_eq!(put(&queue, vec![of(low, 3), of(high, 4)]), [0_u32; 0]);
        queue
    };
    let queue = parked();
    assert!(queue.backlog().has_less_urgent(normal) && queue.backlog().waiting() == 2);
    assert_eq!(put(&queue, vec![of(high, 5), of(high, 6), of(high, 7), of(high, 8)]), [1, 3, 2, 8]);
    assert_eq!(take(&queue, 8), [4, 5, 6, 7]);
    let any = |_: &Item| true;
    let queue = parked();
    assert_eq!(numbers(&queue.push_out(normal, Excess { count: 1, bytes: 0 }, any)), [1]);
    assert_eq!(numbers(&queue.unpark(any)), [2]);
    assert_eq!(take(&queue, 8), [4, 3]);
}
