package archive

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"weir/event"
)

// traffic makes events like those of a shop behind enrich: about 20 of the
// fields are there, some of them of as many values as there are events.
func traffic(n int) []event.Event {
	r := rand.New(rand.NewPCG(1, 2))
	endpoints := []string{"GET /", "GET /products/{id}", "POST /login", "GET /search", "POST /cart", "GET /static/{file}"}
	kinds := []event.Kind{0, event.Product, event.Login, event.Search, event.Cart, event.Asset}
	agents := make([]string, 300)
	for i := range agents {
		agents[i] = fmt.Sprintf("Mozilla/5.0 (X11; Linux x86_64; rv:%d.0) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/%d.0.0.0 Safari/537.36", i, i*3)
	}
	all := make([]event.Event, n)
	for i := range all {
		e := &all[i]
		e.Reset()
		user := int(r.ExpFloat64() * 5000)
		k := r.IntN(len(endpoints))
		agent := user % len(agents)
		e.Time, e.Offset = start+int64(i)*int64(time.Millisecond), int64(i)
		e.IP = netip.AddrFrom4([4]byte{198, 18, byte(user >> 8), byte(user)})
		e.Peer = netip.AddrFrom4([4]byte{192, 0, 2, byte(r.IntN(4))})
		e.ASN, e.Org, e.Country = uint32(64500+user%50), fmt.Sprint("org ", user%50), []string{"DE", "FR", "US"}[user%3]
		e.Site, e.Method, e.Endpoint, e.Kind = "shop.example", endpoints[k][:4], endpoints[k], kinds[k]
		e.Item = fmt.Sprint(r.IntN(20_000))
		e.Path = endpoints[k][4:] + "/" + e.Item
		e.Status, e.Bytes, e.Duration = int32(200+r.IntN(4)*100), int64(r.IntN(50_000)), int64(r.IntN(900_000))
		e.Agent, e.AgentFamily, e.AgentOS, e.AgentKind = agents[agent], "Chrome", "Linux", "browser"
		e.Referer, e.Language, e.Protocol = "https://shop.example/", "en", "HTTP/2.0"
		e.JA4, e.Fingerprint = fmt.Sprintf("t13d1516h2_%012x", agent), fmt.Sprintf("%016x", uint64(agent)*0x9e3779b97f4a7c15)
		e.Session = fmt.Sprintf("%016x%016x", uint64(user)*0x9e3779b97f4a7c15, user)
		if e.Kind == event.Login {
			e.Credential, e.Outcome = fmt.Sprintf("%032x", uint64(user)*0x9e3779b97f4a7c15), event.Failure
		}
		e.ID = fmt.Sprintf("%016x", r.Uint64())
	}
	return all
}

const batchEvents = 1000

// processor returns the time that the process has had a processor: on a busy
// machine it says more than a clock.
func processor(b *testing.B) time.Duration {
	var u unix.Rusage
	must(b, unix.Getrusage(unix.RUSAGE_SELF, &u))
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// perEvent reports what one event costs since the processor time was taken.
func perEvent(b *testing.B, n int, since time.Duration) {
	b.ReportMetric(float64((processor(b)-since).Nanoseconds())/float64(n), "cpu-ns/event")
	b.ReportMetric(float64(n)/b.Elapsed().Seconds()/1e6, "Mevents/s")
}

func BenchmarkAddAndSync(b *testing.B) {
	events := traffic(100 * batchEvents)
	a := opened(b, config(b.TempDir(), "edge"), nil)
	part, seq, n := Part{"edge", 0}, uint64(0), 0
	b.ReportAllocs()
	cpu := processor(b)
	for b.Loop() {
		at := int(seq) % 100 * batchEvents
		batch := events[at : at+batchEvents]
		for i := range batch {
			batch[i].Offset = int64(seq)*batchEvents + int64(i)
		}
		must(b, a.Add(b.Context(), part, seq, batch, nil))
		if seq++; seq%1000 == 0 { // as often as 100k events a second and checkpoints of 10 s do
			must(b, a.Sync(b.Context(), map[Part]int64{part: int64(seq) * batchEvents}))
		}
		n += batchEvents
	}
	must(b, a.Sync(b.Context(), nil))
	perEvent(b, n, cpu)
	b.ReportMetric(float64(a.Stats().Spooled)/float64(n), "B/event")
}

func BenchmarkEncode(b *testing.B) {
	events := traffic(batchEvents)
	var e encoder
	var dst []byte
	n := 0
	b.ReportAllocs()
	cpu := processor(b)
	for b.Loop() {
		dst, _ = e.encode(dst[:0], head{}, events, nil)
		n += batchEvents
	}
	perEvent(b, n, cpu)
}

// filled returns an archive of one hour with n events in its spool.
func filled(b *testing.B, n int) (a *Archive, dir string) {
	dir = b.TempDir()
	a = opened(b, config(dir, "edge"), nil)
	events := traffic(n)
	for i := 0; i < n; i += batchEvents {
		must(b, a.Add(b.Context(), Part{"edge", 0}, uint64(i/batchEvents), events[i:i+batchEvents], nil))
	}
	must(b, a.Sync(b.Context(), nil))
	return a, dir
}

func BenchmarkFinish(b *testing.B) {
	const events = 300 * batchEvents
	a, dir := filled(b, events)
	var sp *spool
	must(b, a.do(b.Context(), func() error {
		for _, s := range a.sources["edge"].spools {
			sp = s
		}
		return nil
	}))
	a.done.rush = 1 << 20
	n, bytes := 0, int64(0)
	cpu := processor(b)
	for b.Loop() {
		path := dir + "/x.parquet"
		_, size, err := a.writeFile(sp, path, nil)
		must(b, err)
		must(b, os.Remove(path))
		n += events
		bytes = size
	}
	perEvent(b, n, cpu)
	b.ReportMetric(float64(bytes)/events, "B/event")
}

func BenchmarkRead(b *testing.B) {
	const events = 300 * batchEvents
	a, dir := filled(b, events)
	must(b, a.Finish(b.Context()))
	eight := map[event.Field]bool{
		event.FieldIP: true, event.FieldEndpoint: true, event.FieldKind: true, event.FieldOutcome: true, event.FieldStatus: true,
		event.FieldFingerprint: true, event.FieldCredential: true, event.FieldSession: true,
	}
	for name, reads := range map[string]func(event.Field) bool{"8": func(f event.Field) bool { return eight[f] }, "all": nil} {
		b.Run(name, func(b *testing.B) {
			var batch event.Batch
			n := 0
			b.ReportAllocs()
			cpu := processor(b)
			for b.Loop() {
				sources, err := OpenFiles([]string{dir}, ReadConfig{Reads: reads})
				must(b, err)
				for {
					batch.Reset()
					if _, err := sources[0].ReadEvents(b.Context(), 0, batchEvents, &batch, nil); err != nil {
						break
					}
					n += len(batch.Events)
				}
				must(b, sources[0].Close())
			}
			if n%events != 0 || n == 0 {
				b.Fatalf("%d events", n)
			}
			perEvent(b, n, cpu)
		})
	}
}
