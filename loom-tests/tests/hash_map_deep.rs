//! Models of the hash map in which another thread completes what one has begun: `cargo test -p loom-tests -- --include-ignored`.

mod common;

use self::common::go;
use self::common::hash::*;

models_without_barriers! {
    /// A block is changed and frozen by one helper, and moved by another.
    #[ignore = "takes minutes; run with --include-ignored"]
    block_moved_by_two(Some(1), 80) {
        let map = sized(8, &[A, A2, A3, A4]);
        let helper = go(&map, |map| {
            assert!(insert(map, A5, 1));
            map.reserve(7);
        });
        map.reserve(8);
        helper.join().unwrap();
        assert_holds(&map, &[A, A2, A3, A4, A5]);
    }

    /// One thread completes what another one has done, and finds what that moved.
    #[ignore = "takes minutes; run with --include-ignored"]
    completed_by_another(Some(2), 1000) {
        let map = sized(4, &[B]);
        let helper = go(&map, |map| map.reserve(6));
        map.reserve(6);
        assert_eq!(get(&map, B), Some(B as usize));
        helper.join().unwrap();
        assert_holds(&map, &[B]);
    }

    /// An entry takes another one's place while its bucket is frozen by one helper and moved by another.
    #[ignore = "takes minutes; run with --include-ignored"]
    replaced_while_moved(Some(2), 1000) {
        let map = map(&[A]);
        let mover = go(&map, |map| map.reserve(2));
        let writer = go(&map, |map| put(map, A, 1));
        map.reserve(2);
        mover.join().unwrap();
        assert_eq!(writer.join().unwrap(), Some(A as usize));
        assert_eq!(get(&map, A), Some(1));
    }
}
