package main

import (
	"runtime/debug"
	"strings"
	"testing"
)

func TestTheVersionIsWhatWasNoted(t *testing.T) {
	commit := []debug.BuildSetting{
		{Key: "vcs.revision", Value: "0123456789abcdef0123456789abcdef01234567"}, {Key: "vcs.time", Value: "2026-03-06T04:49:12Z"}, {Key: "vcs.modified", Value: "true"},
	}
	for _, c := range []struct {
		info *debug.BuildInfo
		ok   bool
		says string
	}{
		{nil, false, "weir devel\n"},
		{&debug.BuildInfo{Main: debug.Module{Version: "(devel)"}}, true, "weir devel\n"},
		{&debug.BuildInfo{}, true, "weir devel\n"},
		{&debug.BuildInfo{Main: debug.Module{Version: "v1.2.3"}}, true, "weir v1.2.3\n"},
		{&debug.BuildInfo{Settings: commit}, true, "weir 0123456789ab of 2026-03-06T04:49:12Z, with changes\n"},
	} {
		if got := versionText(c.info, c.ok); !strings.HasPrefix(got, c.says+"built with go") {
			t.Errorf("%q, must begin with %q", got, c.says)
		}
	}
	long, err := weir("version")
	flag, err2 := weir("--version")
	if err != nil || err2 != nil || long != flag || !strings.HasPrefix(long, "weir "+version()) {
		t.Errorf("%q, %v; %q, %v", long, err, flag, err2)
	}
}
