package control

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"viperprobe.dev/viperprobe/internal/policy"
)

// A Wish is what a person asks for while it runs.
type Wish struct {
	Selector string        `json:"selector"` // see policy.ParseSelector
	Families []string      `json:"families"` // names, classes, tiers, all
	Ratio    float64       `json:"ratio"`    // share of events: 1: on, 0: off
	Form     string        `json:"form"`     // policy.SumForm, policy.HistogramForm, or as the families are
	Labels   policy.Labels `json:"labels"`   // the series in which they are told; nil: all
	For      time.Duration `json:"for"`      // 0: until it is unset, or the end of the run
	Why      string        `json:"why"`
}

// A Change is a recorded event.
type Change struct {
	ID         int64         `json:"id"`
	Time       time.Time     `json:"time"`
	Action     string        `json:"action"`       // set, unset, end (its time was over), reload (of files), give up, give back (the governor), stop (an application probe was hit too often)
	Of         int64         `json:"of,omitempty"` // unset, end: the change that is over
	Selector   string        `json:"selector,omitempty"`
	Document   string        `json:"document,omitempty"` // in place of a selector: kind/name of what was applied
	Families   []string      `json:"families,omitempty"` // as they were asked for
	Ratio      float64       `json:"ratio"`
	Form       string        `json:"form,omitempty"`
	Labels     policy.Labels `json:"labels,omitzero"`
	Until      time.Time     `json:"until,omitzero"`
	Why        string        `json:"why,omitempty"`
	Who        Who           `json:"who"`
	Generation int64         `json:"generation"`      // of the plan that it led to
	Fault      string        `json:"fault,omitempty"` // what of that plan is not in force; not recorded

	Unsupported []Unsupported `json:"unsupported,omitempty"` // what it switches on in vain; not recorded
}

// An Unsupported is a family that does not work on this machine.
type Unsupported struct {
	Family string `json:"family"`
	Reason string `json:"reason"`
	Named  bool   `json:"named"` // asked for by its own name or alias, not as one of a class
}

// A Who is the process that asked. PID -1 is the instance itself.
type Who struct {
	UID     int    `json:"uid"`
	PID     int    `json:"pid"`
	Command string `json:"command,omitempty"`
}

type live struct {
	Change
	rules []policy.Rule
}

// A RefusedError is a wish that cannot be: the fault is the asker's.
type RefusedError struct{ Err error }

func (e *RefusedError) Error() string { return e.Err.Error() }

// Unwrap gives the fault.
func (e *RefusedError) Unwrap() error { return e.Err }

func refuse(format string, args ...any) error { return &RefusedError{fmt.Errorf(format, args...)} }

const maxText = 500 // bytes of a reason

// Set puts a wish in force, over everything else, before it returns.
func (c *Controller) Set(w Wish, who Who) (Change, error) {
	rule, err := c.rule(w)
	if err != nil {
		return Change{}, &RefusedError{err}
	}
	x := Change{Selector: w.Selector, Families: w.Families, Ratio: w.Ratio, Form: w.Form, Labels: w.Labels, Why: w.Why, Who: who}
	return c.set(x, w.For, []policy.Rule{rule})
}

// A Critical is documents of kind CriticalMetrics to put in force live.
type Critical struct {
	Files []policy.File `json:"files"`
	For   time.Duration `json:"for"`
	Why   string        `json:"why"`
}

// SetCritical switches on exactly the families of critical sets for the targets that
// they are of, over everything else, before it returns: one change for each document.
func (c *Controller) SetCritical(w Critical, who Who) ([]Change, error) {
	if err := checkTerms(w.For, w.Why); err != nil {
		return nil, &RefusedError{err}
	}
	documents, err := policy.Parse(w.Files, c.families)
	if err != nil {
		return nil, &RefusedError{err}
	}
	if len(documents.Critical) == 0 || len(documents.Critical) != len(w.Files) {
		return nil, refuse("want documents of kind CriticalMetrics; policies are for `viperprobe run --policy`")
	}
	var out []Change
	for i := range documents.Critical {
		d := &documents.Critical[i]
		rules := d.Rules(c.families)
		if len(rules) == 0 {
			return out, refuse("%s:%d: all entries of %s are external: there is nothing to switch on", d.File, d.Line, d.Name)
		}
		x, err := c.set(Change{Document: "CriticalMetrics/" + d.Name, Families: d.Families(), Ratio: 1, Why: w.Why, Who: who}, w.For, rules)
		if err != nil {
			return out, err
		}
		out = append(out, x)
	}
	return out, nil
}

// set records a change and puts it in force.
func (c *Controller) set(x Change, during time.Duration, rules []policy.Rule) (Change, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.engine == nil {
		return Change{}, ErrNotStarted
	}
	if len(c.live) >= maxLive {
		return Change{}, refuse("%d changes are in force, at most %d can be; unset some, or write a policy", len(c.live), maxLive)
	}
	x.Time, x.Action, x.Generation = time.Now(), "set", c.generation+1
	if during > 0 {
		x.Until = x.Time.Add(during)
	}
	if err := c.journal.add(&x); err != nil {
		return Change{}, fmt.Errorf("record change: %w; nothing is changed", err)
	}
	for i := range rules {
		origin := fmt.Sprintf("live change %d", x.ID)
		if x.Document != "" {
			origin += " (" + rules[i].Origin + ")"
		}
		rules[i].Origin, rules[i].Policy, rules[i].Line, rules[i].Until = origin, "", 0, x.Until
	}
	c.live = append(c.live, live{x, rules})
	if err := c.apply(time.Now()); err != nil {
		x.Fault = err.Error()
	}
	x.Unsupported = c.unsupported(rules, x.Families)
	return x, nil
}

// unsupported lists what rules switch on in vain; words is how it was asked for.
func (c *Controller) unsupported(rules []policy.Rule, words []string) (out []Unsupported) {
	refused := c.engine.Refused()
	for _, f := range c.families {
		on := func(w policy.Want) bool { return w.Family == f.Name && w.Ratio > 0 }
		if reason := refused[f.Name]; reason != "" && slices.ContainsFunc(rules, func(r policy.Rule) bool { return slices.ContainsFunc(r.Wants, on) }) {
			out = append(out, Unsupported{f.Name, reason, slices.ContainsFunc(words, f.Is)})
		}
	}
	return out
}

// checkTerms checks for how long and why something is wished.
func checkTerms(during time.Duration, why string) error {
	var faults []error
	if during < 0 || during > maxFor {
		faults = append(faults, fmt.Errorf("--for: want more than 0 and at most 30d, have %v", during))
	}
	if len(why) > maxText || strings.ContainsFunc(why, func(r rune) bool { return r < ' ' }) {
		faults = append(faults, fmt.Errorf("--why: want one line of at most %d bytes", maxText))
	}
	return errors.Join(faults...)
}

// rule checks a wish.
func (c *Controller) rule(w Wish) (policy.Rule, error) {
	var faults []error
	selector, err := policy.ParseSelector(w.Selector)
	faults = append(faults, err)
	rule := policy.Rule{Select: selector}
	for _, word := range w.Families {
		families, err := policy.Resolve([]string{word}, c.families)
		if err == nil {
			families, err = policy.Sampled(word, families, w.Ratio)
		}
		var wants []policy.Want
		if err == nil {
			wants, err = policy.InForm(w.Form, word, families, w.Ratio, c.families)
		}
		if err == nil {
			wants, err = policy.Labelled(word, wants, w.Labels, c.families)
		}
		faults = append(faults, err)
		rule.Wants = append(rule.Wants, wants...)
	}
	if len(w.Families) == 0 {
		faults = append(faults, errors.New("want at least one family"))
	}
	faults = append(faults, checkTerms(w.For, w.Why))
	return rule, errors.Join(faults...)
}

// Unset takes live changes back: those with the given ids, all of them when there are
// none. It gives what was recorded.
func (c *Controller) Unset(ids []int64, why string, who Who) ([]Change, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.engine == nil {
		return nil, ErrNotStarted
	}
	for _, id := range ids {
		if !slices.ContainsFunc(c.live, func(l live) bool { return l.ID == id }) {
			return nil, refuse("no change %d is in force; `viperprobe changes` lists those that are", id)
		}
	}
	out := []Change{}
	var kept []live
	for _, l := range c.live {
		if len(ids) > 0 && !slices.Contains(ids, l.ID) {
			kept = append(kept, l)
			continue
		}
		x := l.Change
		x.Time, x.Action, x.Of, x.Why, x.Who, x.Generation = time.Now(), "unset", l.ID, why, who, c.generation+1
		if err := c.journal.add(&x); err != nil {
			return nil, fmt.Errorf("record change: %w; nothing is changed", err)
		}
		out = append(out, x)
	}
	if len(out) == 0 {
		return out, nil
	}
	c.live = kept
	if err := c.apply(time.Now()); err != nil {
		out[len(out)-1].Fault = err.Error()
	}
	return out, nil
}

// Changes are what is in force and what was recorded.
type Changes struct {
	Live     []Change `json:"live"`
	Recorded []Change `json:"recorded"` // oldest first
	Dropped  uint64   `json:"dropped"`  // recorded earlier, and no longer in memory
}

// Changes lists the live changes and the last that were recorded.
func (c *Controller) Changes() Changes {
	c.mu.Lock()
	defer c.mu.Unlock()
	out := Changes{Live: []Change{}, Recorded: slices.Clone(c.journal.recent), Dropped: c.journal.dropped}
	if out.Recorded == nil {
		out.Recorded = []Change{}
	}
	for _, l := range c.live {
		out.Live = append(out.Live, l.Change)
	}
	return out
}
