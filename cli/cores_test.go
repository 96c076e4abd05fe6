package cli

import (
	"slices"
	"testing"
)

func TestOneCoreIsEnoughOnlyWhileThereIsLittleToDo(t *testing.T) {
	for name, test := range map[string]struct {
		loads []float64
		few   []bool
	}{
		"calm":                         {[]float64{0.1, 0.1, 0.1, 0.1, 0.1}, []bool{false, false, false, true, true}},
		"a burst among calm looks":     {[]float64{0.1, 0.1, 0.4, 0.1, 0.1, 0.1, 0.1}, []bool{false, false, false, false, false, false, true}},
		"busier, within one core":      {[]float64{0.1, 0.1, 0.1, 0.1, 0.4, 0.5, 0.4}, []bool{false, false, false, true, true, true, true}},
		"a burst that one core delays": {[]float64{0.1, 0.1, 0.1, 0.1, 0.9, 0.1, 0.1, 0.1, 0.1}, []bool{false, false, false, true, false, false, false, false, true}},
		"never calm":                   {[]float64{0.4, 0.4, 0.4, 0.4, 0.4, 0.4}, make([]bool, 6)},
	} {
		var c cores
		var few []bool
		for _, load := range test.loads {
			before := c.few
			if changed := c.look(load); changed != (c.few != before) {
				t.Errorf("%s: load %v: changed is %v, from %v to %v", name, load, changed, before, c.few)
			}
			few = append(few, c.few)
		}
		if !slices.Equal(few, test.few) {
			t.Errorf("%s: got %v, want %v", name, few, test.few)
		}
	}
}
