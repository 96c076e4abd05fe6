package schemas

import "testing"

func TestNormalizingIsConfluents(t *testing.T) {
	for name, c := range map[string]struct{ text, want string }{
		// From AvroSchemaTest.testNormalization and RestApiTest.testNormalizeConfigFallback….
		"keys": {
			`{"type":"record","name":"myrecord","doc":"hi\"there","fields":[{"type":"string","name":"f1","doc":"bye\"now"}]}`,
			`{"type":"record","name":"myrecord","doc":"hi\"there","fields":[{"name":"f1","type":"string","doc":"bye\"now"}]}`,
		},
		"properties of a field": {
			`{"type":"record","name":"myrecord","fields":[{"type":"string","name":"field1","zprop":"z","aprop":"a"}]}`,
			`{"type":"record","name":"myrecord","fields":[{"name":"field1","type":"string","aprop":"a","zprop":"z"}]}`,
		},
		"properties of a primitive, and a name in its own namespace": {
			`{"connect.name":"some.scope.Envelope","fields":[{"default":null,"name":"before","type":["null",{"fields":[{"name":"created_at","type":{"connect.version":1,"type":"long","connect.name":"T"}}],"name":"Value","type":"record"}]},{"name":"after","default":null,"type":["null","some.scope.Value"]}],"name":"Envelope","namespace":"some.scope","type":"record"}`,
			`{"type":"record","name":"Envelope","namespace":"some.scope","fields":[{"name":"before","type":["null",{"type":"record","name":"Value","fields":[{"name":"created_at","type":{"type":"long","connect.name":"T","connect.version":1}}]}],"default":null},{"name":"after","type":["null","Value"],"default":null}],"connect.name":"some.scope.Envelope"}`,
		},
		"a full name": {
			`{"name":"a.b.R","type":"record","doc":"","fields":[{"name":"x","type":{"type":"double"},"default":1,"order":"ascending","aliases":["z","y"]}],"aliases":["a.b.Q","c.P"]}`,
			`{"type":"record","name":"R","namespace":"a.b","fields":[{"name":"x","type":"double","default":1.0,"aliases":["y","z"]}],"aliases":["Q","c.P"]}`,
		},
		"enum, fixed, array and map": {
			`{"type":"array","items":{"type":"map","values":["null",{"symbols":["A","B"],"default":"A","type":"enum","name":"E"},{"size":4,"name":"n.F","type":"fixed","logicalType":"x"}]}}`,
			`{"type":"array","items":{"type":"map","values":["null",{"type":"enum","name":"E","symbols":["A","B"],"default":"A"},{"type":"fixed","name":"F","namespace":"n","size":4,"logicalType":"x"}]}}`,
		},
		"no JSON": {`nonsense`, `nonsense`},
	} {
		if got := Normalize(c.text); got != c.want {
			t.Errorf("%s: got\n%s\nwant\n%s", name, got, c.want)
		}
		if Normalize(c.want) != c.want {
			t.Errorf("%s: normalizing again changes it", name)
		}
	}
}

func TestWhatASchemaSaysMakesItAnother(t *testing.T) {
	const text = `{"type":"record","name":"R","fields":[{"name":"a","type":"long","default":0,"doc":"d"}]}`
	for name, c := range map[string]struct {
		other string
		same  bool
	}{
		"white space":   {`{ "type" : "record", "name":"R","fields":[{"name":"a","type":"long","default":0,"doc":"d"}]}`, true},
		"order of keys": {`{"name":"R","type":"record","fields":[{"doc":"d","default":0,"type":"long","name":"a"}]}`, true},
		"an escape":     {`{"type":"record","name":"\u0052","fields":[{"name":"a","type":"long","default":0,"doc":"d"}]}`, true},
		"a long type":   {`{"type":"record","name":"R","fields":[{"name":"a","type":{"type":"long"},"default":0,"doc":"d"}]}`, true},
		"doc":           {`{"type":"record","name":"R","fields":[{"name":"a","type":"long","default":0,"doc":"e"}]}`, false},
		"default":       {`{"type":"record","name":"R","fields":[{"name":"a","type":"long","default":1,"doc":"d"}]}`, false},
		"no default":    {`{"type":"record","name":"R","fields":[{"name":"a","type":"long","doc":"d"}]}`, false},
		"alias":         {`{"type":"record","name":"R","fields":[{"name":"a","type":"long","default":0,"doc":"d","aliases":["b"]}]}`, false},
		"property":      {`{"type":"record","name":"R","x":1,"fields":[{"name":"a","type":"long","default":0,"doc":"d"}]}`, false},
		"namespace":     {`{"type":"record","name":"R","namespace":"n","fields":[{"name":"a","type":"long","default":0,"doc":"d"}]}`, false},
	} {
		if got := SameSchema(text, c.other); got != c.same {
			t.Errorf("%s: same is %v", name, got)
		}
	}
}
