package simulate

import "weir/event"

// roles are the endpoints that people use, by their names in a scenario.
type roles struct {
	home, listing, search, product, asset                *Endpoint
	loginPage, login, account, orders, cart, checkout    *Endpoint
	resetPage, reset, signupPage, signup                 *Endpoint
	giftcard, coupon                                     *Endpoint
	appConfig, appHome, appProduct, appLogin, appAccount *Endpoint
	oldConfig, oldHome, oldProduct, oldLogin, oldAccount *Endpoint
}

func (r *roles) named() map[string]**Endpoint {
	return map[string]**Endpoint{
		"home": &r.home, "listing": &r.listing, "search": &r.search, "product": &r.product, "asset": &r.asset,
		"login_page": &r.loginPage, "login": &r.login, "account": &r.account, "orders": &r.orders, "cart": &r.cart, "checkout": &r.checkout,
		"reset_page": &r.resetPage, "reset": &r.reset, "signup_page": &r.signupPage, "signup": &r.signup,
		"giftcard": &r.giftcard, "coupon": &r.coupon,
		"app_config": &r.appConfig, "app_home": &r.appHome, "app_product": &r.appProduct, "app_login": &r.appLogin, "app_account": &r.appAccount,
		"old_config": &r.oldConfig, "old_home": &r.oldHome, "old_product": &r.oldProduct, "old_login": &r.oldLogin, "old_account": &r.oldAccount,
	}
}

// answers fills in how the site answers a request.
func (s *Stream) answers(q *request, r *random, success bool) {
	e := q.endpoint
	q.status, q.bytes = e.OK, e.Bytes
	if !success {
		q.status, q.bytes = e.Refused, e.Bytes/3+180
	}
	// Pages differ by what is on them, and one in a thousand requests meets a
	// server that has just a bad moment.
	q.bytes += int64(mix(q.item+uint64(e.Bytes)) % uint64(e.Bytes/4+17))
	q.took = r.around(int64(e.Takes), usual)
	if r.chance(0.0008) {
		q.status, q.bytes, q.took = 502, 157, q.took+int64(r.below(uint64(3*second)))
	}
}

// eventAt is the event of a kind that is on at a moment, if there is one.
func (s *Stream) eventAt(kind string, now int64) *Event {
	for _, e := range s.events {
		if e.Kind == kind && now >= int64(e.Start) && now < int64(e.Start)+int64(e.For) {
			return e
		}
	}
	return nil
}

// stopped reports whether somebody gets no further.
func stopped(a event.Action) bool { return a != event.NoAction }
