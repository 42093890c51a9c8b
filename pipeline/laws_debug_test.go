package pipeline_test

import ("testing";"fmt";"os";"time")

func TestDebug(t *testing.T) {
	if os.Getenv("DBG")=="" { t.Skip() }
	w := randomWorld(t, 0)
	fmt.Println(w.sources[0].disorder, w.sources[0].latest, w.journal)
	o := w.oracle()
	for _, rows := range [][]*oracleRow{o.rows,o.refused} {
	for _, r := range rows {
		if r.IP.String()=="198.51.100.16" || r.Offset==113713 {
			fmt.Println(time.Unix(r.Second,0).UTC().Format("15:04:05"), r.Offset, r.IP, r.ASN, r.Endpoint, r.Outcome, r.Refused, r.Fingerprint)
		}
	}
	}
}
