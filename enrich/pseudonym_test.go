package enrich

import (
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"strings"
	"testing"

	"weir/event"
)

func TestCredentialIsTheMACOfTheName(t *testing.T) {
	w := newWorker(t, Config{})
	k := event.FixedKey()
	for _, c := range []struct{ name, same, domain string }{
		{"Alice", "alice", ""}, {"  alice\t", "alice", ""}, {"ALICE@Mail.Example", "alice@mail.example", "mail.example"},
		{"Ärger", "ärger", ""}, {"a\xff", "a\xff", ""}, {"\u00a0bob\u00a0", "bob", ""}, {"@mail.example", "@mail.example", ""},
		{"a@b", "a@b", ""}, {"a@b..c", "a@b..c", ""}, {"a@-b.cd", "a@-b.cd", ""}, {"a@192.0.2.1", "a@192.0.2.1", ""}, {"a@b.c", "a@b.c", ""},
		{"a@b@c.example", "a@b@c.example", "c.example"}, {"a@xn--bcher-kva.example", "a@xn--bcher-kva.example", "xn--bcher-kva.example"},
		{"a@" + strings.Repeat("b.", 126) + "cd", "a@" + strings.Repeat("b.", 126) + "cd", ""},
		{strings.Repeat("f", 32), strings.Repeat("f", 32), ""}, {strings.Repeat("long", 100), strings.Repeat("long", 100), ""},
	} {
		want := hex.EncodeToString(k.MAC("", []byte(c.same)))[:32]
		for range 2 { // the second comes from the cache
			e := enrichOne(w, func(e *event.Event) { e.Credential = c.name })
			if e.Credential != want || e.CredentialDomain != c.domain {
				t.Errorf("%q: %s %q, want %s %q", c.name, e.Credential, e.CredentialDomain, want, c.domain)
			}
		}
		if got := Credential(k, c.name); got != want {
			t.Errorf("%q: Credential %s, want %s", c.name, got, want)
		}
	}
	e := enrichOne(w, func(e *event.Event) { e.Credential, e.CredentialDomain = "alice", "Mail.Example" })
	if e.CredentialDomain != "mail.example" {
		t.Errorf("domain %q", e.CredentialDomain)
	}
	if e = enrichOne(w, func(e *event.Event) { e.Credential, e.Session = " ", "" }); e.Credential != "" || e.Session != "" || Credential(k, " ") != "" {
		t.Errorf("%+v", e)
	}
}

func TestSessionsAndConsumersHavePseudonymsOfTheirOwn(t *testing.T) {
	w := newWorker(t, Config{})
	k := event.FixedKey()
	e := enrichOne(w, func(e *event.Event) { e.Session, e.Consumer, e.Credential = "Abc", "Abc", "abc" })
	if want := hex.EncodeToString(k.MAC("session", []byte("Abc")))[:32]; e.Session != want {
		t.Errorf("session %s, want %s", e.Session, want)
	}
	if want := hex.EncodeToString(k.MAC("consumer", []byte("Abc")))[:32]; e.Consumer != want {
		t.Errorf("consumer %s, want %s", e.Consumer, want)
	}
}

// Law 7: whatever is secret in an event before is nowhere in it afterwards.
func TestNoSecretIsLeftInAnEvent(t *testing.T) {
	s, err := ParseSite("site.yaml", []byte("endpoints:\n  - {pattern: \"GET /cards/{number}\", kind: giftcard}\n  - {pattern: \"GET /by-mail\", item: query.email}\n"))
	if err != nil {
		t.Fatal(err)
	}
	w := newWorker(t, Config{Site: s})
	r := rand.New(rand.NewPCG(7, 7))
	var b event.Batch
	var secrets []string
	for i := range 1000 {
		name := fmt.Sprintf("Pers%dOn%x", i, r.Uint32())
		token := fmt.Sprintf("tk%016x%d", r.Uint64(), i)
		card := luhn(fmt.Sprintf("4%014d", r.Uint64()%1e14))
		e := b.Next()
		e.Method, e.Site, e.Peer = "GET", "shop.example", netip.MustParseAddr("192.0.2.1")
		e.Forwarded = name
		e.Credential, e.Session, e.Consumer = " "+name+"@mail.example", token, token
		switch i % 4 {
		case 0:
			e.Path = "/users/" + name + "@mail.example/edit"
		case 1:
			e.Path = "/cards/" + card
		case 2:
			e.Path = "/by-mail"
		case 3:
			e.Path = "/a;jsessionid=" + token + "/" + card[:4] + "-" + card[4:8] + "-" + card[8:12] + "-" + card[12:]
		}
		e.Query = "x=1&email=" + name + "%40mail.example&Access_Token=" + token + "&next=%2Fa%3Fpass%3D" + token + "&q=" + card + "&user[pin]=" + token
		e.Referer = "https://" + name + ":" + token + "@shop.example/reset/" + name + "@mail.example?token=" + token + "#id_token=" + token
		e.Agent, e.Language = "curl/8.0", "en"
		secrets = append(secrets, strings.ToLower(name), token, card)
	}
	w.Enrich(&b)
	checked := 0
	for i := range b.Events {
		e := &b.Events[i]
		for f := event.FieldTime; int(f) < event.NumFields; f++ {
			text := strings.ToLower(e.Str(f))
			for _, secret := range secrets[3*i : 3*i+3] {
				if strings.Contains(text, secret) || strings.Contains(strings.ReplaceAll(text, "-", ""), secret) {
					t.Fatalf("%s: %s is in %q", f, secret, text)
				}
				checked++
			}
		}
		if e.Forwarded != "" {
			t.Error("the header is left")
		}
		if i%4 == 1 && (e.Endpoint != "GET /cards/{number}" || e.Item == "") || i%4 == 2 && e.Item == "" {
			t.Errorf("%q: %s, item %q", e.Path, e.Endpoint, e.Item)
		}
	}
	if checked < 100_000 {
		t.Errorf("%d comparisons", checked)
	}
}

// luhn appends the check digit.
func luhn(s string) string {
	for c := byte('0'); ; c++ {
		d := []byte(s + string(c))
		sum := 0
		for i := range d {
			n := int(d[len(d)-1-i] - '0')
			if i%2 == 1 {
				n = n*2/10 + n*2%10
			}
			sum += n
		}
		if sum%10 == 0 {
			return string(d)
		}
	}
}

func TestMACWithoutAllocatingIsHMAC(t *testing.T) {
	k := event.FixedKey()
	m := newMAC(k.MAC("", []byte("value")))
	for n := range 300 {
		text := []byte(strings.Repeat("x", n))
		if got, want := hex.EncodeToString(m.of(text)), hex.EncodeToString(k.MAC("value", text)); got != want {
			t.Fatalf("%d bytes: %s, want %s", n, got, want)
		}
	}
	text := []byte("sess-0123456789")
	if n := testing.AllocsPerRun(100, func() { m.of(text) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkMAC(b *testing.B) {
	m := newMAC(event.FixedKey().MAC("", []byte("value")))
	text := []byte("sess-0123456789")
	b.ReportAllocs()
	for b.Loop() {
		m.of(text)
	}
}
