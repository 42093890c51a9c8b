package rules

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

func lockedRule(t *testing.T, version int, comment, title, severity, when string) *Rule {
	t.Helper()
	src := fmt.Sprintf("id: a.b\nversion: %d\n# %s\ntitle: %s\nseverity: %s\nkey: ip\nwhere: kind == \"login\"\nfeatures: {n: 'count(\"10m\")'}\nwhen: %s\nthen: {block: ip, for: 1h}\n",
		version, comment, title, severity, when)
	r, err := Parse("a/b.yaml", []byte(src), Options{})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestAVersionDoesWhatItDid(t *testing.T) {
	first := lockedRule(t, 2, "why", "T", "low", "n >= 20")
	lock, faults := Lock(nil).Update([]*Rule{first})
	if len(faults) > 0 {
		t.Fatal(faults)
	}
	lock, err := ReadLock(LockName, lock.Append(nil))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name  string
		rule  *Rule
		want  string // in the fault; empty: none
		mends bool   // writing the lock mends it
	}{
		{"the same", first, "", false},
		{"a comment, a title, spaces", lockedRule(t, 2, "better", "Another", "low", "n>=20"), "", false},
		{"a threshold", lockedRule(t, 2, "why", "T", "low", "n >= 21"), "what it does changed, and its version is 2 still; make that 3", false},
		{"the severity", lockedRule(t, 2, "why", "T", "high", "n >= 20"), "what it does changed", false},
		{"a threshold and the version", lockedRule(t, 3, "why", "T", "low", "n >= 21"), "version 3 is not in versions.lock, which has 2", true},
		{"the version alone", lockedRule(t, 3, "why", "T", "low", "n >= 20"), "weir rules check --lock", true},
		{"a version that fell", lockedRule(t, 1, "why", "T", "low", "n >= 20"), "must be at least 2", false},
	} {
		faults := lock.Check([]*Rule{c.rule})
		if (c.want == "") != (len(faults) == 0) {
			t.Errorf("%s: %v", c.name, faults)
			continue
		}
		if len(faults) > 0 && (!strings.Contains(faults[0].Error(), c.want) || errors.Is(faults[0], ErrNotLocked) != c.mends) {
			t.Errorf("%s: %v, want %q", c.name, faults[0], c.want)
		}
		updated, left := lock.Update([]*Rule{c.rule})
		if mended := len(left) == 0; mended != (c.want == "" || c.mends) {
			t.Errorf("%s: writing the lock mends it: %v", c.name, mended)
		}
		if again := updated.Check([]*Rule{c.rule}); len(again) > 0 {
			t.Errorf("%s: after writing: %v", c.name, again)
		}
	}
	gone, _ := lock.Update(nil)
	if gone["a.b"] != lock["a.b"] {
		t.Error("an id whose rule is gone left the lock: another rule could take it")
	}
}

func TestADamagedLockIsNotRead(t *testing.T) {
	const ok = "a.b 1 00112233445566778899aabbccddeeff\n"
	if _, err := ReadLock(LockName, []byte(lockHead+ok)); err != nil {
		t.Error(err)
	}
	for _, bad := range []string{"a.b 1\n", "A 1 00\n", "a.b 0 00112233445566778899aabbccddeeff\n", "a.b 1 0011\n", ok + ok, "<<<<<<< HEAD\n", strings.Repeat("#", MaxLock+1)} {
		if _, err := ReadLock(LockName, []byte(bad)); err == nil {
			t.Errorf("%.40q was read", bad)
		}
	}
}
