package enrich

import (
	"bufio"
	"compress/gzip"
	"fmt"
	"net/netip"
	"os"
	"sort"
	"strconv"
	"strings"
	"testing"
	"time"

	"weir/event"
)

func TestZZReal(t *testing.T) {
	name := os.Getenv("REAL")
	if name == "" {
		t.Skip()
	}
	f, _ := os.Open(name)
	z, _ := gzip.NewReader(f)
	sc := bufio.NewScanner(z)
	sc.Buffer(nil, 1<<20)
	tb, err := New(Config{Key: event.FixedKey()})
	if err != nil {
		t.Fatal(err)
	}
	w := tb.Worker(Source{})
	var b event.Batch
	n := map[string]int{}
	ex := map[string]string{}
	kinds := map[string]int{}
	agents := map[string]int{}
	var total int
	var dur time.Duration
	flush := func() {
		t0 := time.Now()
		w.Enrich(&b)
		dur += time.Since(t0)
		for i := range b.Events {
			e := &b.Events[i]
			k := fmt.Sprintf("%s [%s]", e.Endpoint, e.Kind)
			n[k]++
			if ex[k] == "" {
				ex[k] = strings.Clone(e.Path + "?" + e.Query)
			}
			kinds[e.Kind.String()+" "+e.Outcome.String()]++
			agents[e.AgentKind+" / "+e.AgentFamily]++
			total++
		}
		b.Reset()
	}
	for sc.Scan() {
		l := strings.Clone(sc.Text())
		q := strings.Split(l, "\"")
		if len(q) < 6 {
			continue
		}
		e := b.Next()
		h := strings.Fields(q[0])
		e.Peer, _ = netip.ParseAddr(h[0])
		r := strings.Fields(q[1])
		if len(r) >= 2 {
			e.Method = r[0]
			e.Path, e.Query, _ = strings.Cut(r[1], "?")
		} else {
			e.Path = q[1]
		}
		s := strings.Fields(q[2])
		if len(s) > 0 {
			v, _ := strconv.Atoi(s[0])
			e.Status = int32(v)
		}
		e.Referer, e.Agent = q[3], q[5]
		if len(b.Events) == 1000 {
			flush()
		}
	}
	flush()
	show := func(m map[string]int, lim int) {
		var ks []string
		for k := range m {
			ks = append(ks, k)
		}
		sort.Slice(ks, func(i, j int) bool { return m[ks[i]] > m[ks[j]] })
		for i, k := range ks {
			if i < lim {
				fmt.Println(m[k], k, "   <- ", ex[k])
			}
		}
		fmt.Println("distinct", len(m))
	}
	show(n, 3000)
	show(kinds, 50)
	show(agents, 80)
	fmt.Println(total, dur/time.Duration(total))
}
