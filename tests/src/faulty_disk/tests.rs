//! The disk as a program sees it, through the kernel. A program that syncs keeps its data, one that does not loses it.

use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::unix::fs::FileExt;
use std::process::Command;
use std::sync::mpsc::channel;

use super::*;
use crate::complete::not_tested;

fn mount() -> Option<FaultyDisk> {
    let mounted = FaultyDisk::mount();
    mounted.inspect_err(|why| not_tested("power cuts (are you root?)", why)).ok()
}

fn sync_dir(path: &Path) {
    File::open(path).unwrap().sync_all().unwrap();
}

fn cut(disk: &FaultyDisk, seed: u64) {
    disk.cut_power(seed);
    disk.restore_power();
}

#[test]
fn who_syncs_keeps_and_who_does_not_loses() {
    let Some(disk) = mount() else { return };
    let (mut lost, text) = (0, b"what was written".repeat(1_000));
    for seed in 0..60 {
        let (kept_path, lost_path) = (disk.path().join("kept"), disk.path().join("lost"));
        fs::write(&lost_path, &text).unwrap();
        let mut kept = File::create(&kept_path).unwrap();
        kept.write_all(&text).unwrap();
        kept.sync_data().unwrap();
        sync_dir(disk.path());
        assert_eq!(fs::read(&lost_path).unwrap(), text, "it is read before the cut");
        drop(kept);
        cut(&disk, seed);
        assert_eq!(fs::read(&kept_path).unwrap(), text, "seed {seed}");
        lost += u64::from(fs::read(&lost_path).unwrap() != text);
        fs::remove_file(kept_path).unwrap();
        fs::remove_file(lost_path).unwrap();
        sync_dir(disk.path());
    }
    assert!((30..60).contains(&lost), "most are lost, not all: {lost}");
}

#[test]
fn names_are_kept_by_the_sync_of_their_directory() {
    let Some(disk) = mount() else { return };
    let dir = disk.path().join("a/b");
    fs::create_dir_all(&dir).unwrap();
    File::create(dir.join("new")).unwrap().sync_all().unwrap();
    fs::rename(dir.join("new"), dir.join("file")).unwrap();
    for dir in [&dir, &disk.path().join("a"), &disk.path().to_owned()] {
        sync_dir(dir);
    }
    fs::remove_file(dir.join("file")).unwrap();
    disk.settle();
    assert_eq!(fs::read_dir(&dir).unwrap().count(), 0);
    let mut gone = 0;
    for seed in 0..30 {
        File::create(dir.join("file")).unwrap().sync_all().unwrap();
        cut(&disk, seed);
        gone += u64::from(fs::remove_file(dir.join("file")).is_err());
        sync_dir(&dir);
    }
    assert!(gone > 3, "a file that was synced without its name: gone {gone} times of 30");
}

#[test]
fn files_are_files() {
    let Some(disk) = mount() else { return };
    let path = disk.path().join("file");
    let mut file = File::options().read(true).write(true).create(true).truncate(true).open(&path).unwrap();
    file.write_all_at(&[7; 3 << 20], 1 << 20).unwrap();
    file.set_len(5 << 20).unwrap();
    let mut all = Vec::new();
    file.seek(SeekFrom::Start(0)).unwrap();
    file.read_to_end(&mut all).unwrap();
    let expected = [vec![0; 1 << 20], vec![7; 3 << 20], vec![0; 1 << 20]].concat();
    assert!(all == expected);
    // A lock is held by one process at a time.
    let flock = |command: &[&str]| {
        let status = Command::new("flock").arg("-n").arg(&path).args(command).status();
        status.expect("util-linux is installed").success()
    };
    let path_text = path.to_str().unwrap();
    assert!(flock(&["true"]) && !flock(&["flock", "-n", path_text, "true"]));
    assert!(fs::remove_dir(disk.path().join("nothing")).is_err());
    assert!(File::options().write(true).create_new(true).open(&path).is_err());
}

#[test]
fn a_sync_hangs_fails_or_lies() {
    let Some(disk) = mount() else { return };
    let write = |name: &str| {
        let mut file = File::create(disk.path().join(name)).unwrap();
        file.write_all(b"something").and_then(|()| file.sync_all())
    };
    disk.trouble(Part::File("bad"), Trouble::Fail);
    assert!(write("bad").is_err() && disk.has_failed() && !disk.has_failed());
    write("good").unwrap();
    disk.trouble(Part::File("bad"), Trouble::Hang);
    let (done, wait) = channel();
    thread::scope(|scope| {
        scope.spawn(|| done.send(write("bad").is_ok()).unwrap());
        write("good").unwrap();
        while !disk.is_waited_for() {
            thread::yield_now();
        }
        assert!(wait.try_recv().is_err(), "it hangs");
        disk.heal();
        assert!(wait.recv().unwrap());
        disk.trouble(Part::All, Trouble::Hang);
        scope.spawn(|| done.send(write("bad").is_ok()).unwrap());
        while !disk.is_waited_for() {
            thread::yield_now();
        }
        disk.cut_power(1);
        assert!(!wait.recv().unwrap(), "what hung is lost with the power");
    });
    disk.restore_power();
    disk.trouble(Part::All, Trouble::Slow(Duration::from_millis(1)));
    write("slow").unwrap();
    disk.settle();
    disk.trouble(Part::All, Trouble::Lie);
    let lost = (0..30).filter(|seed| {
        fs::write(disk.path().join("slow"), b"else").unwrap();
        write("slow").unwrap();
        cut(&disk, *seed);
        fs::read(disk.path().join("slow")).unwrap() != b"something"
    });
    assert!(lost.count() > 3, "a disk that lies");
}

#[test]
fn each_open_file_reports_a_failed_sync_once() {
    let Some(disk) = mount() else { return };
    let path = disk.path().join("file");
    let mut writer = File::create(&path).unwrap();
    let others = [File::open(&path).unwrap(), File::open(&path).unwrap()];
    others[0].sync_data().unwrap();
    writer.write_all(b"something").unwrap();
    disk.trouble(Part::All, Trouble::Fail);
    assert!(!disk.has_reported_failure() && writer.sync_all().is_err() && disk.has_reported_failure());
    disk.heal();
    writer.sync_all().unwrap();
    assert!(disk.has_unreported_failure());
    assert!(others[0].sync_data().is_err());
    others[0].sync_data().unwrap();
    assert!(!disk.has_unreported_failure(), "a handle that never syncs does not count");
    assert!(others[1].sync_data().is_err());
    File::open(&path).unwrap().sync_data().unwrap();
}
