package cli

import (
	"context"
	"fmt"
	"slices"

	"webcheck/prober"
	"webcheck/schemas"
)

// publishUpTargets publishes targets, and the demo sites where neither these nor Kafka have any. Nothing that is defined in Kafka
// goes, but demo sites of an earlier run, whose ports are gone. It returns all that is watched; the second result stops what was
// started for it.
func (p *program) publishUpTargets(ctx context.Context, s *services, targets []prober.Target, options upOptions) ([]prober.Target, func(), error) {
	d, err := p.definitionsIn(ctx, s, schemas.TopicTargets, true)
	if err != nil {
		return nil, nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, p.config.ConnectTimeout)
	defer cancel()
	known, err := d.Read(ctx)
	if err != nil {
		return nil, nil, err
	}
	others, gone := p.knownBeside(known, targets)
	stop := func() {}
	if len(targets)+len(others) == 0 {
		if targets, stop, err = p.demoTargets(options); err != nil {
			return nil, nil, err
		}
		gone = nil
	}
	changed := slices.DeleteFunc(slices.Clone(targets), func(t prober.Target) bool { return known.Has(&t) })
	if err := d.Write(ctx, known, changed, gone); err != nil {
		stop()
		return nil, nil, fmt.Errorf("publishing the definitions of targets: %w", err)
	}
	if len(others) > 0 && len(targets) > 0 {
		p.notice("also watching %s of an earlier run, such as %q; \"webcheck targets remove\" ends that", count(len(others), "target"), printable(others[0].ID))
	}
	p.logger.Info("definitions published", "targets", len(changed))
	return append(targets, others...), stop, nil
}

// knownBeside returns the targets that the topic has beside those given, and the demo sites of an earlier run.
func (p *program) knownBeside(known *prober.Known, given []prober.Target) (others []prober.Target, gone []string) {
	for _, d := range definedTargets(known) {
		switch t, err := prober.ParseDefinition(d.Definition); {
		case slices.ContainsFunc(given, func(g prober.Target) bool { return g.ID == d.ID }):
		case err == nil && t.Labels[demoLabel] != "":
			gone = append(gone, d.ID)
		case err == nil:
			others = append(others, t)
		default:
			others = append(others, prober.NewTarget(d.ID, d.URL))
		}
	}
	return others, gone
}

// demoTargets starts the demo sites.
func (p *program) demoTargets(options upOptions) ([]prober.Target, func(), error) {
	sites, stop, err := startDemoSites()
	if err != nil {
		return nil, nil, err
	}
	interval := options.interval
	if interval == 0 {
		interval = demoInterval
	}
	p.notice("nothing to watch was given, so here are three demo sites on this machine: one good, one slow, one flapping")
	var targets []prober.Target
	for _, site := range sites {
		t := newTarget(site.id, site.url, interval)
		t.Labels = map[string]string{demoLabel: "up"}
		targets = append(targets, t)
	}
	return targets, stop, nil
}
