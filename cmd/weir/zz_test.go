package main
import ("testing";"time";"fmt")
func TestZZ(t *testing.T){
	s := newFollowedSite(t, "10m", plainPoint)
	s.write("rules/short/everybody.yaml", wrongRule)
	s.warm()
	l, stop := s.run()
	s.allRead(l)
	for n:=range 40 {
		now := time.Now()
		var rs []request
		for i := range 20 { rs = append(rs, request{at: now, address: accountAddress(n*20+i), method: "GET", path: "/products/1", status: 200}) }
		s.log(rs...)
		time.Sleep(100*time.Millisecond)
	}
	t.Log(s.weir("status"))
	t.Log(s.weir("why", accountAddress(10)))
	c := map[string]int{}
	for _, x := range readLines(t, s.path("state/ledger.jsonl")) { c[fmt.Sprint(x.Event,x.Mode,x.Rule,x.Guard,x.Reason)]++ }
	t.Log(c)
	c = map[string]int{}
	for _, x := range readLines(t, s.path("state/decisions.jsonl")) { c[fmt.Sprint(x.Event,x.Mode,x.Rule,x.Guard,x.Reason)]++ }
	t.Log(c)
	s.stop(stop)
}
