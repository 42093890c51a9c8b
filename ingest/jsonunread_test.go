package ingest

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"weir/event"
)

func TestUnreadKeysAreNamed(t *testing.T) {
	for _, c := range []struct {
		cfg  Config
		line string
		want string
	}{
		{Config{Format: "nginx-json"}, `{"remote_addr":"192.0.2.7","acct":"ann","msec":1,"n\u006fte":{"acct":1}}`, `acct n\u006fte`},
		{Config{Format: "nginx-json", Fields: map[string]string{"credential": "acct"}}, `{"acct":"ann","user":"x"}`, "user"},
		{Config{Format: "json", Fields: map[string]string{"ip": "a.b"}}, `{"a":{"b":"192.0.2.7","c":1},"a.d":2,"remote_addr":"x"}`, "a.c a.d remote_addr"},
		{Config{Format: "json", Fields: map[string]string{"ip": "a"}, Time: TimeConfig{Field: "when"}}, `{"a":"192.0.2.7","when":1}`, ""},
		{Config{Format: "caddy"}, `{"request":{"remote_ip":"192.0.2.7","headers":{"X-Any":["y"]},"own":1}}`, "request.own"},
		{Config{Format: "json", Fields: map[string]string{"x.tenant": "t", "ip": "a"}, Extras: event.Extras{"tenant"}}, `{"t":"x"}`, ""},
		{Config{Format: "nginx-json"}, `{"acct":`, "acct"},
		{Config{Format: "nginx-json"}, `["acct"]`, ""},
	} {
		u := NewUnread(c.cfg)
		u.Add([]byte(c.line))
		u.Add([]byte(c.line))
		if names, _ := u.Names(); strings.Join(names, " ") != c.want {
			t.Errorf("%s: unread %q, want %s", c.line, names, c.want)
		}
	}
	for _, cfg := range []Config{{Format: "combined"}, {Pattern: "<ip> <time>"}, {Format: "nginx-json", Unwrap: "log"}} {
		if NewUnread(cfg) != nil {
			t.Errorf("%+v has unread keys", cfg)
		}
	}
	for _, name := range inJSON {
		if NewUnread(Config{Format: name}) == nil {
			t.Errorf("%s is missing", name)
		}
	}
}

func TestUnreadKeysHaveALimit(t *testing.T) {
	u := NewUnread(Config{Format: "nginx-json"})
	u.Add([]byte(`{"` + strings.Repeat("k", maxKeyName+1) + `":1}`))
	if names, more := u.Names(); len(names) != 0 || !more {
		t.Errorf("a long name: %q, more %v", names, more)
	}
	for i := range 2 * maxUnread {
		u.Add(fmt.Appendf(nil, `{"k%d":1}`, i))
	}
	if names, more := u.Names(); len(names) != maxUnread || !more || !slices.Contains(names, "k0") {
		t.Errorf("%d names, more %v; want %d", len(names), more, maxUnread)
	}
}
