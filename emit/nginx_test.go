package emit

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"weir/event"
	"weir/internal/proxytest"
)

// nginxSite is a real nginx set up as the point says, and its point.
type nginxSite struct {
	*proxytest.Nginx
	point *nginxPoint
	serve string // what answers those who are not refused
}

func newNginxSite(t testing.TB, probe bool, s Setting) nginxSite {
	t.Helper()
	n := proxytest.NewNginx(t)
	cfg := NginxConfig{Conf: filepath.Join(n.Dir, "weir.conf"), Test: n.Test, Reload: n.Reload}
	if probe {
		cfg.Probe = n.URL + "/weir-generation"
	}
	p, err := newNginx(cfg, s)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	})
	site := nginxSite{n, p.(*nginxPoint), "location / { return 200 ok; }\n"}
	site.configure(t, "")
	if err := site.point.begin(); err != nil {
		t.Fatal(err)
	}
	return site
}

// configure writes nginx.conf with the lines of Setup, and more.
func (n nginxSite) configure(t testing.TB, more string) {
	t.Helper()
	setup := n.point.Setup()
	n.Main = proxytest.Part(t, setup, "main context")
	server := strings.ReplaceAll(proxytest.Part(t, setup, "server { }, each"), "/var/log/nginx/weir.log", n.Log)
	if n.point.probe != nil {
		server += proxytest.Part(t, setup, "server { }, the one")
	}
	n.Configure(t, proxytest.Part(t, setup, "http { }")+more, server+n.serve)
}

func (n nginxSite) expect(t *testing.T, address, request string, status int) {
	t.Helper()
	if got, _ := proxytest.Ask(t, n.URL, address, request); got != status {
		t.Errorf("%s %s: %d, must be %d", address, request, got, status)
	}
}

func TestNginxRefusesWhoIsListed(t *testing.T) {
	n := newNginxSite(t, true, settingFor(t, onlyBlock, "GET /orders/{id}", "POST /orders/new", "POST /orders/{id}"))
	n.Start(t)
	if err := n.point.Try(t.Context()); err != nil {
		t.Fatal(err)
	}
	later, over := time.Now().Add(time.Hour), time.Now().Add(-time.Second)
	mustApply(t, n.point, listOf(
		inForce("203.0.113.7/32", "", later),
		inForce("203.0.113.8/32", "", over),
		inForce("198.51.100.0/24", "", later),
		inForce("2001:db8:1:2::/64", "", later),
		inForce("192.0.2.7/32", "POST /login", later),
		inForce("192.0.2.8/32", "POST /login", over),
		inForce("192.0.2.0/24", "GET /orders/{id}", later),
		inForce("192.0.2.9/32", "POST /orders/{id}", later),
		inForce("2001:db8:3::/48", "POST /login", later),
	))
	for _, c := range []struct {
		address, request string
		status           int
	}{
		{"203.0.113.7", "GET /", 403},
		{"203.0.113.7", "POST /login", 403},
		{"203.0.113.6", "GET /", 200},
		{"203.0.113.8", "GET /", 200},
		{"198.51.100.200", "GET /", 403},
		{"198.51.101.0", "GET /", 200},
		{"2001:db8:1:2:3::4", "GET /", 403},
		{"2001:db8:1:3::4", "GET /", 200},
		{"192.0.2.7", "POST /login", 403},
		{"192.0.2.7", "POST /login/", 403},
		{"192.0.2.7", "POST //login", 403},
		{"192.0.2.7", "POST /x/../%6cogin", 403},
		{"192.0.2.7", "GET /login", 200},
		{"192.0.2.7", "POST /LOGIN", 200},
		{"192.0.2.7", "POST /login%0A", 200},
		{"192.0.2.7", "POST /login/x", 200},
		{"192.0.2.7", "POST /", 200},
		{"192.0.2.8", "POST /login", 200},
		{"192.0.2.77", "GET /orders/5", 403},
		{"192.0.2.77", "HEAD /orders/5", 403},
		{"192.0.2.77", "GET /orders/5/x", 200},
		{"192.0.2.77", "POST /orders/5", 200},
		{"192.0.2.9", "POST /orders/5", 403},
		{"192.0.2.9", "POST /orders/new", 200}, // another endpoint, though the pattern fits
		{"2001:db8:3:4::1", "POST /login", 403},
		{"2001:db8:4::1", "POST /login", 200},
	} {
		n.expect(t, c.address, c.request, c.status)
	}
	// What is over is no reason for a reload: it is not shown.
	held, err := n.point.Read(t.Context())
	if err != nil || len(held.Entries) != 7 {
		t.Errorf("%d entries are read, must be 7: %v", len(held.Entries), err)
	}
	mustApply(t, n.point, listOf())
	n.expect(t, "203.0.113.7", "GET /", 200)
	n.expect(t, "127.0.0.1", "GET /weir-generation", 200)
	n.expect(t, "203.0.113.7", "GET /weir-generation", 404)
}

func TestABlockInNginxIsOverByItself(t *testing.T) {
	n := newNginxSite(t, true, settingFor(t, onlyBlock))
	n.Start(t)
	end := time.Now().Add(2 * time.Second).Truncate(time.Second)
	mustApply(t, n.point, listOf(inForce("203.0.113.7/32", "", end)))
	overByItself(t, n.URL, "203.0.113.7", end)
}

// nginx has no arithmetic: one regular expression compares two decimals.
func TestNginxComparesEndsAsNumbers(t *testing.T) {
	n := proxytest.NewNginx(t)
	n.Configure(t, `map "$arg_now $arg_end abc" $later { default 0; "~`+stillLater+`(?<id>[0-9a-f]+)" $id; }`,
		`location / { return 200 "$later"; }`)
	n.Start(t)
	r := rand.New(rand.NewPCG(1, 2))
	seen := [2]int{}
	for i := range 1500 {
		end := minProxyEnd + r.Int64N(maxProxyEnd-minProxyEnd)
		now := minProxyEnd + r.Int64N(maxProxyEnd-minProxyEnd)
		if i%2 == 0 { // near to each other
			now = min(max(end+r.Int64N(200)-100, minProxyEnd), maxProxyEnd)
		}
		want := "0"
		if now < end {
			want = "abc"
		}
		seen[len(want)/3]++
		path := fmt.Sprintf("GET /?now=%d.%03d&end=%d", now, r.IntN(1000), end)
		_, got := proxytest.Ask(t, n.URL, "192.0.2.1", path)
		if got != want {
			t.Fatalf("%s: %s, must be %s", path, got, want)
		}
	}
	if min(seen[0], seen[1]) < 300 {
		t.Errorf("%d and %d of each, must be 300 at least", seen[0], seen[1])
	}
}

func TestNginxLogsWhatItRefused(t *testing.T) {
	n := newNginxSite(t, true, settingFor(t, []event.Action{event.Block, event.Limit, event.Challenge}))
	n.serve = "location / { proxy_pass http://" + proxytest.Site(t) + "; }\n" // a return would come before limits
	n.configure(t, "")
	n.Start(t)
	later := time.Now().Add(time.Hour)
	limited, challenged := inForce("203.0.113.8/32", "", later), inForce("203.0.113.9/32", "", later)
	limited.Action, limited.To = event.Limit, "10/1m"
	challenged.Action = event.Challenge
	both := inForce("203.0.113.9/32", "POST /login", later)
	mustApply(t, n.point, listOf(inForce("203.0.113.7/32", "", later), limited, challenged, both))
	type answer struct {
		Address string `json:"remote_addr"`
		Status  string `json:"status"`
		Refused string `json:"refused"`
	}
	want := map[answer]int{
		{"203.0.113.6", "200", ""}: 1, {"203.0.113.6", "401", ""}: 1, {"203.0.113.7", "403", "block"}: 1,
		{"203.0.113.8", "200", ""}: 6, {"203.0.113.8", "429", "limit"}: 4,
		{"203.0.113.9", "200", "challenge"}: 1, {"203.0.113.9", "403", "block"}: 1,
	}
	n.expect(t, "203.0.113.6", "GET /", 200)
	n.expect(t, "203.0.113.7", "GET /", 403)
	n.expect(t, "203.0.113.9", "GET /", 200)
	n.expect(t, "203.0.113.9", "POST /login", 403)
	n.expect(t, "203.0.113.6", "POST /login", 401)
	for range 10 {
		proxytest.Ask(t, n.URL, "203.0.113.8", "GET /")
	}
	got := map[answer]int{}
	for _, line := range proxytest.Lines(t, n.Log, "{", 15) {
		var a answer
		if err := json.Unmarshal([]byte(line), &a); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		got[a]++
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("%v, must be %v", got, want)
	}
}

func TestAListThatNginxDoesNotAcceptIsTakenBack(t *testing.T) {
	n := newNginxSite(t, true, settingFor(t, onlyBlock))
	n.Start(t)
	old := listOf(inForce("203.0.113.7/32", "", time.Now().Add(time.Hour)))
	mustApply(t, n.point, old)
	before, err := os.ReadFile(n.point.cfg.Conf)
	if err != nil {
		t.Fatal(err)
	}
	n.configure(t, "map_hash_bucket_sise 64;\n")
	err = n.point.Apply(t.Context(), old, listOf())
	if err == nil || !strings.Contains(err.Error(), `unknown directive "map_hash_bucket_sise" in `+n.Dir) {
		t.Errorf("%v, must have nginx's own line", err)
	}
	if after, err := os.ReadFile(n.point.cfg.Conf); err != nil || string(after) != string(before) {
		t.Errorf("the list is not the old one: %v", err)
	}
	n.expect(t, "203.0.113.7", "GET /", 403)
	mustHold(t, n.point, old)
	n.configure(t, "")
	mustApply(t, n.point, listOf())
	n.expect(t, "203.0.113.7", "GET /", 200)
}

func TestAnNginxThatDoesNotRunIsSaid(t *testing.T) {
	for _, probe := range []bool{false, true} {
		n := newNginxSite(t, probe, settingFor(t, onlyBlock))
		want := listOf(inForce("203.0.113.7/32", "", time.Now().Add(time.Hour)))
		err := n.point.Apply(t.Context(), List{}, want)
		if err == nil || !strings.Contains(err.Error(), "could not be reloaded (does it run?)") {
			t.Fatalf("error %v", err)
		}
		// What nobody took over is not what the point holds.
		if differences(t, n.point, want) == 0 || differences(t, n.point, listOf()) == 0 {
			t.Error("a list that nginx was never reloaded for counts as held")
		}
		n.Start(t)
		mustApply(t, n.point, want)
		n.expect(t, "203.0.113.7", "GET /", 403)
	}
}

func TestTheProbeSeesAReloadThatDidNotHappen(t *testing.T) {
	n := newNginxSite(t, true, settingFor(t, onlyBlock))
	n.Start(t)
	old := listOf(inForce("203.0.113.7/32", "", time.Now().Add(time.Hour)))
	mustApply(t, n.point, old)
	body, _, err := n.point.lists.render(nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := replaceSealed(n.point.cfg.Conf, body, 0); err != nil { // and no reload
		t.Fatal(err)
	}
	if differences(t, n.point, listOf()) == 0 {
		t.Error("an empty file counts as enforced while nginx runs with the old list")
	}
	mustApply(t, n.point, listOf())
	n.expect(t, "203.0.113.7", "GET /", 200)

	n.Stop(t)
	if _, err := n.point.Read(t.Context()); !errors.Is(err, ErrUnreadable) {
		t.Errorf("nginx is gone: %v, must be unreadable", err)
	}
}

func TestAFileThatIsNotWeirsIsLeftAlone(t *testing.T) {
	n := newNginxSite(t, false, settingFor(t, onlyBlock))
	want := listOf(inForce("203.0.113.7/32", "", time.Now().Add(time.Hour)))
	const foreign = "geo $my_own { default 0; }\n"
	proxytest.WriteFile(t, n.point.cfg.Conf, foreign)
	if _, err := n.point.Read(t.Context()); !errors.Is(err, ErrUnreadable) || !errors.Is(err, errForeign) {
		t.Errorf("read: %v", err)
	}
	if err := n.point.Apply(t.Context(), List{}, want); !errors.Is(err, errForeign) {
		t.Errorf("apply: %v", err)
	}
	if err := n.point.Try(t.Context()); !errors.Is(err, errForeign) {
		t.Errorf("try: %v", err)
	}
	if text, err := os.ReadFile(n.point.cfg.Conf); err != nil || string(text) != foreign {
		t.Errorf("it holds %q, %v", text, err)
	}
}

func TestADamagedListIsWrittenAnew(t *testing.T) {
	n := newNginxSite(t, true, settingFor(t, onlyBlock))
	n.Start(t)
	want := listOf(inForce("203.0.113.7/32", "", time.Now().Add(time.Hour)), inForce("203.0.113.8/32", "", time.Now().Add(time.Hour)))
	mustApply(t, n.point, want)
	text, err := os.ReadFile(n.point.cfg.Conf)
	if err != nil {
		t.Fatal(err)
	}
	for _, damaged := range []string{
		strings.Replace(string(text), "203.0.113.7", "203.0.113.9", 1), string(text[:len(text)/2]), string(text) + "\n",
	} {
		proxytest.WriteFile(t, n.point.cfg.Conf, damaged)
		if differences(t, n.point, want) == 0 || differences(t, n.point, listOf()) == 0 {
			t.Error("a damaged list counts as held")
		}
		mustApply(t, n.point, want)
	}
	n.expect(t, "203.0.113.9", "GET /", 200)
}

func TestTryFindsAListThatNginxDoesNotInclude(t *testing.T) {
	n := newNginxSite(t, false, settingFor(t, onlyBlock))
	if err := n.point.Try(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(n.point.cfg.Conf); err != nil {
		t.Fatal(err)
	}
	if err := n.point.Try(t.Context()); err != nil {
		t.Errorf("%v, must make the file that is to be included", err)
	}
	n.Configure(t, "", "")
	err := n.point.Try(t.Context())
	if want := `put "include ` + n.point.cfg.Conf + `;" into its http block`; err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("%v, must say %s", err, want)
	}
}

// After a reload old workers accept beside the new ones for a moment.
func TestTheProbeWaitsForTheLastOldWorker(t *testing.T) {
	const list, old = "2407a27733a54ceb", "0dc5bdb381de485e"
	var mu sync.Mutex
	asked, lastOld := 0, time.Time{}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		if asked++; asked < 9 && asked%3 == 0 {
			lastOld = time.Now()
			fmt.Fprintln(w, old)
			return
		}
		fmt.Fprintln(w, list)
	}))
	defer s.Close()
	p, err := newNginxProbe("proxy", s.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer p.close()
	if err := p.expect(t.Context(), list, reloadPatience); err != nil {
		t.Fatal(err)
	}
	if since := time.Since(lastOld); lastOld.IsZero() || since < reloadOverlap {
		t.Errorf("it was content %s after an old worker's answer", since)
	}
	if err := p.expect(t.Context(), old, 0); !errors.Is(err, errOtherList) {
		t.Errorf("%v, must be another list", err)
	}
	asked = 1 << 20
	if err := p.expect(t.Context(), old, 100*time.Millisecond); !errors.Is(err, errOtherList) {
		t.Errorf("%v, must be another list", err)
	}
}

func TestAListThatNginxDoesNotIncludeIsNotHeld(t *testing.T) {
	n := newNginxSite(t, false, settingFor(t, onlyBlock))
	n.Start(t)
	want := listOf(inForce("203.0.113.7/32", "", time.Now().Add(time.Hour)))
	mustApply(t, n.point, want)

	// A run begins while nginx.conf does not name the file.
	n.Configure(t, "", n.serve)
	says := "nginx does not include " + n.point.cfg.Conf + ", as " + strings.Join(n.Test[:len(n.Test)-1], " ") + " -T prints"
	n.point.included = false
	if _, err := n.point.Read(t.Context()); !errors.Is(err, ErrUnreadable) || !strings.Contains(err.Error(), says) {
		t.Errorf("read: %v, must say %q", err, says)
	}
	if err := n.point.Apply(t.Context(), want, listOf()); !errors.Is(err, errNotIncluded) {
		t.Errorf("apply: %v", err)
	}
	// Once it does, the point is well again without anybody's help.
	n.configure(t, "")
	mustHold(t, n.point, want)
	// It is looked for again after an error, not at each reading.
	n.Configure(t, "", n.serve)
	mustHold(t, n.point, want)
	n.Stop(t)
	if err := n.point.Apply(t.Context(), want, listOf()); err == nil {
		t.Error("nginx is gone and was reloaded")
	}
	if err := n.point.Apply(t.Context(), want, listOf()); !errors.Is(err, errNotIncluded) {
		t.Errorf("apply after an error: %v", err)
	}
}

// nginx may know the file by another path: through a link, or in a container.
func TestTheListIsFoundByWhateverPathNginxNamesIt(t *testing.T) {
	n := newNginxSite(t, false, settingFor(t, onlyBlock))
	link := filepath.Join(t.TempDir(), "nginx")
	if err := os.Symlink(n.Dir, link); err != nil {
		t.Fatal(err)
	}
	n.Configure(t, "include "+filepath.Join(link, "weir.conf")+";", n.serve)
	if err := n.point.Try(t.Context()); err != nil {
		t.Error(err)
	}

	body, err := os.ReadFile(n.point.cfg.Conf)
	if err != nil {
		t.Fatal(err)
	}
	other := filepath.Join(t.TempDir(), "other.conf")
	proxytest.WriteFile(t, other, string(body))
	for path, included := range map[string]bool{"/in/a/container/weir.conf": true, other: false} {
		printed := filepath.Join(t.TempDir(), "printed")
		proxytest.WriteFile(t, printed, "# configuration file "+path+":\n"+string(body))
		n.point.cfg.Test = []string{"sh", "-c", "cat " + printed, "-t"}
		if err := n.point.Try(t.Context()); (err == nil) != included {
			t.Errorf("%s holds the same list: %v", path, err)
		}
	}
}

func TestAnNginxThatCannotPrintIsUsedAllTheSame(t *testing.T) {
	n := newNginxSite(t, true, settingFor(t, onlyBlock))
	n.Start(t)
	test := strings.Join(n.Test[:len(n.Test)-1], " ")
	n.point.cfg.Test = []string{"sh", "-c", `[ "$0" = -t ] || exit 3; ` + test + " -t", "-t"}
	want := listOf(inForce("203.0.113.7/32", "", time.Now().Add(time.Hour)))
	mustApply(t, n.point, want)
	mustHold(t, n.point, want)
	n.expect(t, "203.0.113.7", "GET /", 403)
}

func TestAProbeWithoutItsLocationSaysWhatIsMissing(t *testing.T) {
	n := newNginxSite(t, true, settingFor(t, onlyBlock))
	n.Configure(t, proxytest.Part(t, n.point.Setup(), "http { }"), "location / { return 404; }")
	n.Start(t)
	err := n.point.Try(t.Context())
	want := "is location /weir-generation there? weir points show " + n.point.name + " --setup prints it"
	if err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("%v, must say %q", err, want)
	}
}
