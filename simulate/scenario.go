package simulate

// Scenario is a site, who comes to it, and who attacks it. Sizes are those at
// scale 1.
type Scenario struct {
	Name      string                 `yaml:"-"`
	Title     string                 `yaml:"title"`
	Base      string                 `yaml:"base"`    // the scenario that this one changes
	Include   []string               `yaml:"include"` // scenarios whose campaigns, events and goals are in this one, too
	Days      int                    `yaml:"days"`
	Site      Site                   `yaml:"site"`
	Honest    map[string]*Population `yaml:"honest"`
	Events    map[string]*Event      `yaml:"events"`
	Campaigns map[string]*Campaign   `yaml:"campaigns"`
	Goals     map[string]*GoalText   `yaml:"goals"`
	Knobs     Knobs                  `yaml:"knobs"`

	roles roles
}

// Knobs turn a whole scenario up and down, for how robust rules are.
type Knobs struct {
	AttackSize float64 `yaml:"attack_size"` // requests and addresses of all campaigns
	AttackPace float64 `yaml:"attack_pace"` // how fast they are sent; as many in all
	AttackAt   *Moment `yaml:"attack_at"`   // when the first phase begins; the others keep their distance to it
	Failures   float64 `yaml:"failures"`    // how often honest log-ins fail
	Honest     float64 `yaml:"honest"`      // how many honest people there are
}

// Site is what is attacked.
type Site struct {
	Host      string               `yaml:"host"`
	Proxied   bool                 `yaml:"proxied"` // behind a proxy, which writes who connected to it into X-Forwarded-For
	Items     uint64               `yaml:"items"`   // in the catalogue
	Assets    float64              `yaml:"assets"`  // a page
	Curves    map[string]*Curve    `yaml:"curves"`  // site is that of the visitors
	Endpoints map[string]*Endpoint `yaml:"endpoints"`
}

// Endpoint is something that the site answers.
type Endpoint struct {
	Pattern    string `yaml:"pattern"` // of the site file; {n} stands for a number
	Kind       string `yaml:"kind"`
	Failure    string `yaml:"failure"`
	Deprecated bool   `yaml:"deprecated"`
	Copies     int    `yaml:"copies"`  // so many of it, {copy} in the pattern is their number
	OK         int    `yaml:"ok"`      // the status of a success
	Refused    int    `yaml:"refused"` // of a failure
	Bytes      int64  `yaml:"bytes"`
	Takes      Span   `yaml:"takes"`  // the median of its answers
	Hidden     bool   `yaml:"hidden"` // the site file does not know it
	Query      string `yaml:"query"`  // behind the path; {n} stands for a number

	parts parts
}

// Population is honest: people, or programs that serve somebody.
type Population struct {
	Title   string `yaml:"title"`
	Kind    string `yaml:"kind"`    // people, machine or broken
	Network string `yaml:"network"` // a kind of networks
	Place   uint64 `yaml:"place"`   // its first address in them
	Curve   string `yaml:"curve"`   // flat, or one of the site's
	From    Moment `yaml:"from"`
	Fixed   bool   `yaml:"fixed"` // not scaled
	Late    bool   `yaml:"late"`  // its lines come too late

	// People.
	Users      float64 `yaml:"users"`
	PerAddress float64 `yaml:"per_address"` // users behind one address
	Roam       float64 `yaml:"roam"`        // share of visits from another address of the population's
	Moves      float64 `yaml:"moves"`       // share of the addresses that are new ones every day
	Visits     float64 `yaml:"visits"`      // of a user and week
	Pages      float64 `yaml:"pages"`       // of a visit
	Clients    string  `yaml:"clients"`     // browsers, apps, old_apps, rare or new
	Style      string  `yaml:"style"`       // web, app or old_app
	Logins     float64 `yaml:"logins"`      // share of visits in which somebody logs in
	Failures   float64 `yaml:"failures"`    // share of tries to log in that fail
	Signups    float64 `yaml:"signups"`     // share of visits in which somebody signs up
	Login      string  `yaml:"login"`       // the endpoint at which they log in; empty: that of the style
	Cookieless float64 `yaml:"cookieless"`  // share of visits without a session

	// Machines.
	Count     float64  `yaml:"count"`
	Every     Span     `yaml:"every"`
	Jitter    float64  `yaml:"jitter"` // of the interval; 1 is no rhythm at all
	Endpoints []string `yaml:"endpoints"`
	Agent     string   `yaml:"agent"`
	Items     string   `yaml:"items"`    // one, next, any or popular
	Consumer  string   `yaml:"consumer"` // the name of its key
	Accounts  float64  `yaml:"accounts"` // that it logs in for, each once a day; 0: the machine's own
	Keeps     bool     `yaml:"keeps"`    // a session

	name     string
	label    int
	resolved []*Endpoint
	at       *Endpoint // of Login
}

// Event is a time at which people behave differently; those who come then have
// a label of its own.
type Event struct {
	Title  string  `yaml:"title"`
	Kind   string  `yaml:"kind"` // sale, reset or outage
	Start  Moment  `yaml:"start"`
	For    Span    `yaml:"for"`
	Factor float64 `yaml:"factor"` // so many times the visits
	Share  float64 `yaml:"share"`  // of the visitors whom it concerns

	name  string
	label int
}

// Campaign is what one attacker does.
type Campaign struct {
	Title  string            `yaml:"title"`
	Phases map[string]*Phase `yaml:"phases"`
}

// Phase is a part of a campaign that is told apart.
type Phase struct {
	Title     string  `yaml:"title"`
	Start     Moment  `yaml:"start"`
	For       Span    `yaml:"for"`
	Fixed     bool    `yaml:"fixed"`     // not scaled
	Requests  float64 `yaml:"requests"`  // the tries; pages around them come on top
	Addresses float64 `yaml:"addresses"` // 0: a new one for every try
	Shape     string  `yaml:"shape"`     // flat, ramp, site or night
	Burst     Span    `yaml:"burst"`     // on for so long …
	Pause     Span    `yaml:"pause"`     // … and then off
	Fresh     bool    `yaml:"fresh"`     // other addresses in each burst

	Network     string   `yaml:"network"`
	Inside      []string `yaml:"inside"`       // populations whose addresses are among the attacker's; one that stands twice twice as often
	InsideShare float64  `yaml:"inside_share"` // so many of them
	SameAs      string   `yaml:"same_as"`      // another phase, whose addresses these are
	Through     string   `yaml:"through"`      // a population of machines that hands on what it is sent
	Skewed      bool     `yaml:"skewed"`       // some addresses far more than others
	Forged      bool     `yaml:"forged"`       // claims in X-Forwarded-For to be somebody else

	Endpoints []string `yaml:"endpoints"` // one of them for each try
	Before    []string `yaml:"before"`    // pages in front of it …
	Human     float64  `yaml:"human"`     // … in so many of the cases, with what they load
	After     []string `yaml:"after"`     // what follows a success
	Items     string   `yaml:"items"`     // one, next, any or popular
	Hits      float64  `yaml:"hits"`      // share of the tries that succeed
	Limited   float64  `yaml:"limited"`   // share that the application itself answers with 429

	Fingerprint string `yaml:"fingerprint"` // tool, borrowed or rotating
	Tool        string `yaml:"tool"`        // its name: two phases with the same have the same
	Says        string `yaml:"says"`        // whose agents it borrows: browsers, apps, old_apps
	Session     string `yaml:"session"`     // none, new or kept
	Rotate      int    `yaml:"rotate"`      // a new session after so many requests of an address
	Consumer    string `yaml:"consumer"`

	List     float64 `yaml:"list"`      // names on the attacker's list; 0: as many as tries
	Of       string  `yaml:"of"`        // the population whose accounts are on it, and open
	Known    float64 `yaml:"known"`     // share of the list that are such
	Own      float64 `yaml:"own"`       // accounts of the attacker's own …
	OwnShare float64 `yaml:"own_share"` // … which he logs in to with so many of his tries

	Adapt *Adapt `yaml:"adapt"`

	campaign, name string
	label          int
	targets        []*Endpoint
	before, after  []*Endpoint
}

// Adapt is what an attacker does who sees that he is stopped.
type Adapt struct {
	Share  float64  `yaml:"share"`  // of his latest requests
	Over   int      `yaml:"over"`   // so many of them
	Change []string `yaml:"change"` // fingerprint, addresses, network, pace: one after the other, over and over
	Then   string   `yaml:"then"`   // the kind of networks that he changes to
}

// GoalText is a Goal as a scenario states it, with the variants for which it holds.
type GoalText struct {
	Labels       string   `yaml:"labels"`
	Variants     []string `yaml:"variants"` // empty: all
	Blocked      *float64 `yaml:"blocked"`
	Stopped      *float64 `yaml:"stopped"`
	FirstStop    Span     `yaml:"first_stop"`
	Logins       bool     `yaml:"logins"`
	Above        float64  `yaml:"above"`
	With         string   `yaml:"with"`
	Passes       *float64 `yaml:"passes"`
	MostBlocked  *float64 `yaml:"most_blocked"`
	MostMilder   *float64 `yaml:"most_milder"`
	MostAccounts *float64 `yaml:"most_accounts"`
	Attacking    bool     `yaml:"attacking"`
	Anywhere     bool     `yaml:"anywhere"`
	Alerted      bool     `yaml:"alerted"`
}
