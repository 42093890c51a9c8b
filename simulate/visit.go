package simulate

// A visit goes from step to step.
type stepKind uint8

const (
	stepPage stepKind = iota
	stepAsset
	stepConfig
	stepLoginPage
	stepLogin
	stepResetPage
	stepReset
	stepAccount
	stepOrders
	stepCart
	stepCheckout
	stepSignupPage
	stepSignup
	stepCode
	stepLeave
)

// style is how a kind of program uses the site.
type style struct {
	first     stepKind
	loginPage bool // a form comes before a log-in
	assets    bool
	app, old  bool
	think     int64 // the median time between pages
}

var styles = map[string]*style{
	"web":     {first: stepPage, loginPage: true, assets: true, think: 14 * second},
	"app":     {first: stepConfig, app: true, think: 9 * second},
	"old_app": {first: stepConfig, app: true, old: true, think: 9 * second},
}

// visit is one person who is there.
type visit struct {
	crowd   *crowd
	random  random
	request request
	style   *style
	account uint64
	failure float64
	page    *Endpoint // that is being looked at
	item    uint64
	pages   int // yet to look at
	assets  int // of the page, yet to load
	tries   int
	wanted  stepKind

	refusals int

	logsIn, signsUp, mustReset, wasReset, sale, inside bool
}

// act sends the request of the step that is due.
func (v *visit) act(s *Stream, now int64) int64 {
	q, r := &v.request, &v.random
	q.account, q.accountSet = 0, false
	success := true
	ro := &s.scenario.roles
	switch v.wanted {
	case stepPage:
		q.endpoint, q.item = v.choosePage(s, r)
		v.pages--
	case stepAsset:
		q.endpoint, q.item = ro.asset, mix(v.item+uint64(v.assets))%400
		v.assets--
	case stepConfig:
		q.endpoint, q.item = v.either(ro.appConfig, ro.oldConfig), 0
	case stepLoginPage:
		q.endpoint = ro.loginPage
	case stepLogin:
		q.endpoint = v.either(ro.appLogin, ro.oldLogin)
		if !v.style.app {
			q.endpoint = ro.login
		}
		if at := v.crowd.population.at; at != nil {
			q.endpoint, q.item = at, mix(v.account)%uint64(max(at.Copies, 1))
		}
		q.account, q.accountSet = v.account, true
		success = v.passes(s, now)
		v.tries++
	case stepResetPage:
		q.endpoint = ro.resetPage
	case stepReset:
		q.endpoint = ro.reset
		q.account, q.accountSet = v.account, true
	case stepAccount:
		q.endpoint = ro.account
		if v.style.app {
			q.endpoint = v.either(ro.appAccount, ro.oldAccount)
		}
	case stepOrders:
		q.endpoint = ro.orders
	case stepCart:
		q.endpoint, q.item = ro.cart, v.item
	case stepCheckout:
		q.endpoint = ro.checkout
		success = !r.chance(0.06) // a card that is refused
	case stepSignupPage:
		q.endpoint = ro.signupPage
	case stepSignup:
		q.endpoint = ro.signup
		q.account, q.accountSet = v.account, true
		success = !r.chance(v.failure * 2.5)
		v.tries++
	case stepCode:
		q.endpoint, q.item = ro.coupon, r.below(60)
		success = r.chance(0.7)
		if r.chance(0.3) {
			q.endpoint, q.item = ro.giftcard, 4000000000+mix(v.account)%1e9
			success = r.chance(0.85)
		}
	}
	s.answers(q, r, success)
	if v.style.assets && v.wanted == stepAsset && r.chance(0.3) {
		q.status, q.bytes = 304, 0 // still in the browser
	}
	answer := s.send(q, now)
	if stopped(answer) {
		return v.refused(s, now)
	}
	q.solved = false
	v.step(s, q.status < 500 && success)
	if v.wanted == stepLeave {
		return s.leave(v)
	}
	return now + v.pause()
}

// either is the app's endpoint, or that of its old versions.
func (v *visit) either(now, old *Endpoint) *Endpoint {
	if v.style.old {
		return old
	}
	return now
}

// passes reports whether a try to log in is right. Who has mistyped is more
// likely to again; who was made to choose a new password does not have it yet.
func (v *visit) passes(s *Stream, now int64) bool {
	if s.eventAt("outage", now) != nil {
		return false
	}
	if v.mustReset && !v.wasReset {
		return false
	}
	if v.wasReset {
		return !v.random.chance(0.05)
	}
	if v.tries > 0 {
		return !v.random.chance(max(0.35, v.failure))
	}
	// Of a share f of failures among all tries about 0.7 f are first ones.
	return !v.random.chance(v.failure * 0.7)
}

// step decides what comes next.
func (v *visit) step(s *Stream, success bool) {
	r := &v.random
	switch v.wanted {
	case stepPage, stepConfig, stepLoginPage, stepAccount, stepResetPage, stepSignupPage:
		if q := &v.request; v.wanted != stepConfig {
			v.page, v.item = q.endpoint, q.item
			q.referer, q.refererTo = q.endpoint, q.item
		}
		if v.style.assets {
			v.assets = int(r.below(uint64(2*s.scenario.Site.Assets) + 1))
		}
	case stepCart:
		if v.style.app || r.chance(0.45) {
			v.wanted = stepCheckout
			return
		}
	case stepCheckout:
		if !success && r.chance(0.7) {
			return // another card
		}
	case stepReset:
		v.wasReset, v.wanted = true, stepLogin
		return
	case stepSignup:
		if !success && v.tries < 6 && r.chance(0.85) {
			return
		}
		v.signsUp, v.inside = false, success
	case stepLogin:
		v.afterLogin(success)
		return
	}
	v.next(s)
}

// afterLogin decides what somebody does who is in, or not.
func (v *visit) afterLogin(success bool) {
	r := &v.random
	switch {
	case success:
		v.logsIn, v.inside, v.wanted = false, true, stepAccount
	case v.mustReset && !v.wasReset && v.tries >= 1+int(r.below(3)):
		v.wanted = stepResetPage
	case v.tries >= 3 && !v.wasReset && r.chance(0.4):
		v.wanted = stepResetPage
	case v.tries < 7 && r.chance(0.85):
		v.wanted = stepLogin
	default:
		v.wanted, v.logsIn = stepLeave, false
	}
}

// next chooses a step for somebody who is free to.
func (v *visit) next(s *Stream) {
	r, ro := &v.random, &s.scenario.roles
	switch {
	case v.assets > 0:
		v.wanted = stepAsset
	case v.page == ro.resetPage && !v.wasReset:
		v.wanted = stepReset
	case v.logsIn && (v.page == ro.loginPage || v.style.app):
		v.wanted = stepLogin
	case v.signsUp && v.page == ro.signupPage:
		v.wanted = stepSignup
	case v.logsIn && (v.pages <= 0 || r.chance(0.5)):
		v.wanted = stepLoginPage
	case v.signsUp && (v.pages <= 0 || r.chance(0.5)):
		v.wanted = stepSignupPage
	case v.inside && r.chance(0.12):
		v.wanted = stepOrders
	case v.inside && r.chance(0.05):
		v.wanted = stepCode
	case v.sale && r.chance(0.2), v.inside && r.chance(0.1):
		v.wanted = stepCart
	case v.pages > 0:
		v.wanted = stepPage
	default:
		v.wanted = stepLeave
	}
}

// pause is how long it takes until the step that is wanted.
func (v *visit) pause() int64 {
	r := &v.random
	switch v.wanted {
	case stepAsset:
		return 15e6 + r.around(60e6, usual)
	case stepLogin:
		if v.tries == 0 && r.chance(0.55) {
			return second + r.around(2*second, usual) // a password manager
		}
		return 2*second + r.around(8*second, usual)
	case stepReset:
		return 10*second + r.around(25*second, usual)
	case stepSignup, stepCheckout:
		return 5*second + r.around(40*second, usual)
	case stepAccount:
		return 200e6 + r.around(300e6, usual)
	}
	if v.sale {
		return second + r.around(v.style.think/3, wide)
	}
	return second + r.around(v.style.think, wide)
}

// refused is what people do who are stopped: they solve what they are asked, try
// once more a little later, or go.
func (v *visit) refused(s *Stream, now int64) int64 {
	r := &v.random
	v.refusals++
	if v.refusals > 2 || !r.chance(0.7) {
		return s.leave(v)
	}
	v.request.solved = r.chance(0.93)
	return now + 3*second + r.around(8*second, usual)
}

// choosePage is a page that somebody looks at: a few that everybody wants, and
// a long tail.
func (v *visit) choosePage(s *Stream, r *random) (*Endpoint, uint64) {
	ro, items := &s.scenario.roles, s.scenario.Site.Items
	if v.style.app {
		if r.chance(0.3) {
			return v.either(ro.appHome, ro.oldHome), 0
		}
		return v.either(ro.appProduct, ro.oldProduct), popular(r, items)
	}
	if v.page == nil && r.chance(0.5) {
		return ro.home, 0
	}
	switch n := r.below(10); {
	case n < 3:
		return ro.listing, r.skewed(40)
	case n < 4:
		return ro.search, r.skewed(300)
	case n < 5 && !v.sale:
		return ro.home, 0
	}
	if v.sale && r.chance(0.7) {
		return ro.product, r.below(5)
	}
	return ro.product, popular(r, items)
}

// popular is an item, of which some are wanted far more than others.
func popular(r *random, items uint64) uint64 {
	return r.skewed(r.skewed(items) + 1)
}
