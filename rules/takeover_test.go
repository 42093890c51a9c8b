package rules

import "testing"

func TestAReloadSaysWhatItKeeps(t *testing.T) {
	const tick = 1_772_755_200
	old := planned(t, mustParse(t,
		ruleWith("a", `n: count("10m"); m: distinct("1h", session)`, "n > m", ""),
		ruleWith("b", `n: count("24h", status == 401)`, "n > 1", ""),
		ruleText("c", "net", "n > 1"),
	), PlanOptions{})
	p := planned(t, mustParse(t,
		ruleWith("a", `n: count("10m"); m: distinct("6h", session)`, "n > m", ""),
		ruleWith("d", `n: count("10m")`, `n > 1 and sum("2d", bytes) > 5`, ""),
		ruleText("e", "asn", "n > 1"),
	), PlanOptions{Inherit: &old.Layout, Tick: tick, Site: true})
	golden(t, "testdata/takeover.golden", p.Takeover(&old.Layout).String())
	same := planned(t, mustParse(t, ruleText("c", "net", "n > 1")), PlanOptions{Inherit: &old.Layout, Tick: tick})
	if x := same.Takeover(&old.Layout); len(x.Rules) > 0 || len(x.Tables) != 2 || len(x.Tables[0].Keeps) != 1 || len(x.Tables[1].Drops) == 0 {
		t.Errorf("of rules of which some went: %+v", x)
	}
}
