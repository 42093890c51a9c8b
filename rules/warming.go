package rules

// Warming returns, of the rules whose windows are not whole at a tick, the tick
// from which on they are, and where a gap in the log is the reason, its end; 0:
// no rule looks back behind one.
func (st *State) Warming(tick int64) (blind int64, from map[string]int64) {
	for i, whole := range st.whole {
		if tick >= whole || whole <= 0 {
			continue
		}
		if from == nil {
			from = map[string]int64{}
		}
		from[st.plan.Rules[i].ID] = whole
		if whole > st.plan.Complete(i) {
			blind = st.blind
		}
	}
	return blind, from
}
