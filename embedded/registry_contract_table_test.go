package embedded_test

// contracts are the requests by what they are about, each list on a subject of its own.
var contracts = map[string][]exchange{
	"what is not there":   absent,
	"versions and ids":    versionsAndIDs,
	"looking up":          lookUps,
	"bad requests":        badRequests,
	"levels":              levels,
	"incompatible":        incompatible,
	"deleting":            deleting,
	"modes":               modes,
	"lists and the paths": listsAndPaths,
}

// What Apicurio does not have.
var (
	noMode = &answer{404, `{"error_code":0,"message":"{any}"}`, "it has no modes"}
	noPath = &answer{404, `{"error_code":0,"message":"{any}"}`, "it has no such path"}
)

var absent = []exchange{
	{"GET /subjects/{s}/versions", 404, `{"error_code":40401,"message":"Subject '{s}' not found."}`, nil},
	{"GET /subjects/{s}/versions/1", 404, `{"error_code":40401,"message":"Subject '{s}' not found."}`, nil},
	{"GET /subjects/{s}/versions/latest", 404, `{"error_code":40401,"message":"Subject '{s}' not found."}`, nil},
	{"GET /subjects/{s}/versions/1/schema", 404, `{"error_code":40401,"message":"Subject '{s}' not found."}`, nil},
	{"POST /subjects/{s} {\"schema\":{A}}", 404, `{"error_code":40401,"message":"Subject '{s}' not found."}`, nil},
	{"DELETE /subjects/{s}", 404, `{"error_code":40401,"message":"Subject '{s}' not found."}`, nil},
	{"DELETE /subjects/{s}?permanent=true", 404, `{"error_code":40401,"message":"Subject '{s}' not found."}`, nil},
	{"DELETE /subjects/{s}/versions/1", 404, `{"error_code":40401,"message":"Subject '{s}' not found."}`, nil},
	{"GET /config/{s}", 404, `{"error_code":40408,"message":"Subject '{s}' does not have subject-level compatibility configured"}`, &answer{404, `{"error_code":40401,"message":"{any}"}`, "it has levels only for what has a version"}},
	{"DELETE /config/{s}", 404, `{"error_code":40401,"message":"Subject '{s}' not found."}`, nil},
	{"GET /mode/{s}", 404, `{"error_code":40409,"message":"Subject '{s}' does not have subject-level mode configured"}`, noMode},
	{"DELETE /mode/{s}", 404, `{"error_code":40401,"message":"Subject '{s}' not found."}`, noMode},
	{"GET /schemas/ids/2147483647", 404, `{"error_code":40403,"message":"Schema 2147483647 not found"}`, nil},
	{"GET /schemas/ids/2147483647/subjects", 404, `{"error_code":40403,"message":"Schema 2147483647 not found"}`, noPath},
	{"GET /schemas/ids/2147483647/versions", 404, `{"error_code":40403,"message":"Schema 2147483647 not found"}`, nil},
	{"POST /compatibility/subjects/{s}/versions {\"schema\":{A}}", 200, `{"is_compatible":true}`, &answer{404, `{"error_code":40401,"message":"{any}"}`, "it compares only with what is there"}},
	{"POST /compatibility/subjects/{s}/versions/latest {\"schema\":{A}}", 200, `{"is_compatible":true}`, &answer{404, `{"error_code":40402,"message":"{any}"}`, "it compares only with what is there"}},
	{"POST /compatibility/subjects/{s}/versions/1 {\"schema\":{A}}", 404, `{"error_code":40402,"message":"Version 1 not found."}`, nil},
}

var versionsAndIDs = []exchange{
	{"POST /subjects/{s}/versions {\"schema\":{A}}", 200, `{"id":"{id:A}"}`, nil},
	{"POST /subjects/{s}/versions {\"schema\":{A}}", 200, `{"id":"{id:A}"}`, nil},
	{"POST /subjects/{s}/versions {\"schema\":{B},\"schemaType\":\"AVRO\",\"references\":[]}", 200, `{"id":"{id:B}"}`, nil},
	{"GET /subjects/{s}/versions", 200, `[1,2]`, nil},
	{"GET /subjects/{s}/versions/1", 200, `{"subject":"{s}","version":1,"id":"{id:A}","schema":{A}}`, nil},
	{"GET /subjects/{s}/versions/latest", 200, `{"subject":"{s}","version":2,"id":"{id:B}","schema":{B}}`, nil},
	{"GET /subjects/{s}/versions/-1", 200, `{"subject":"{s}","version":2,"id":"{id:B}","schema":{B}}`, nil},
	{"GET /subjects/{s}/versions/3", 404, `{"error_code":40402,"message":"Version 3 not found."}`, nil},
	{"GET /subjects/{s}/versions/0", 422, `{"error_code":42202,"message":"The specified version '0' is not a valid version id. Allowed values are between [1, 2^31-1] and the string \"latest\""}`, &answer{404, `{"error_code":40402,"message":"{any}"}`, "it takes any text for a version's name"}},
	{"GET /subjects/{s}/versions/two", 422, `{"error_code":42202,"message":"The specified version 'two' is not a valid version id. Allowed values are between [1, 2^31-1] and the string \"latest\""}`, &answer{404, `{"error_code":40402,"message":"{any}"}`, "it takes any text for a version's name"}},
	{"GET /subjects/{s}/versions/1/schema", 200, contractSchemas["A"], nil},
	{"GET /subjects/{s}/versions/1/referencedby", 200, `[]`, nil},
	{"GET /schemas/ids/{id:A}", 200, `{"schema":{A}}`, nil},
	{"GET /schemas/ids/{id:A}/schema", 200, contractSchemas["A"], noPath},
	{"GET /schemas/ids/{id:B}/subjects", 200, `["{s}"]`, noPath},
	{"GET /schemas/ids/{id:B}/versions", 200, `[{"subject":"{s}","version":2}]`, nil},
	{"POST /subjects/{s}-2/versions {\"schema\":{A}}", 200, `{"id":"{id:A}"}`, nil},
	{"GET /subjects/{s}-2/versions", 200, `[1]`, nil},
}

var lookUps = []exchange{
	{"POST /subjects/{s}/versions {\"schema\":{A}}", 200, `{"id":"{id:A}"}`, nil},
	{"POST /subjects/{s} {\"schema\":{A}}", 200, `{"subject":"{s}","version":1,"id":"{id:A}","schema":{A}}`, nil},
	{"POST /subjects/{s} {\"schema\":{spaces}}", 200, `{"subject":"{s}","version":1,"id":"{id:A}","schema":{A}}`, &answer{404, `{"error_code":40403,"message":"{any}"}`, "it compares texts; a prober that registers the text of its file finds it"}},
	{"POST /subjects/{s} {\"schema\":{keys}}", 200, `{"subject":"{s}","version":1,"id":"{id:A}","schema":{A}}`, &answer{404, `{"error_code":40403,"message":"{any}"}`, "it compares texts; a prober that registers the text of its file finds it"}},
	{"POST /subjects/{s} {\"schema\":{long}}", 200, `{"subject":"{s}","version":1,"id":"{id:A}","schema":{A}}`, &answer{404, `{"error_code":40403,"message":"{any}"}`, "it compares texts; a prober that registers the text of its file finds it"}},
	{"POST /subjects/{s}/versions {\"schema\":{spaces}}", 200, `{"id":"{id:A}"}`, &answer{200, `{"id":"{id:spaces}"}`, "it compares texts"}},
	{"POST /subjects/{s}/versions {\"schema\":{keys}}", 200, `{"id":"{id:A}"}`, &answer{200, `{"id":"{id:keys}"}`, "it compares texts"}},
	{"GET /subjects/{s}/versions", 200, `[1]`, &answer{200, `[1,2,3]`, "it compares texts"}},
	{"POST /subjects/{s} {\"schema\":{doc}}", 404, `{"error_code":40403,"message":"Schema not found"}`, nil},
	{"POST /subjects/{s}/versions {\"schema\":{doc}}", 200, `{"id":"{id:doc}"}`, nil},
	{"POST /subjects/{s} {\"schema\":{doc}}", 200, `{"subject":"{s}","version":"{any}","id":"{id:doc}","schema":{doc}}`, nil},
	{"POST /subjects/{s}-n/versions?normalize=true {\"schema\":{unsorted}}", 200, `{"id":"{id:n}"}`, nil},
	{"GET /subjects/{s}-n/versions/1", 200, `{"subject":"{s}-n","version":1,"id":"{id:n}","schema":{sorted}}`, &answer{200, `{"subject":"{s}-n","version":1,"id":"{id:n}","schema":{unsorted}}`, "it keeps the text, normalizing only to compare"}},
	{"POST /subjects/{s}-n?normalize=true {\"schema\":{unsorted}}", 200, `{"subject":"{s}-n","version":1,"id":"{id:n}","schema":{sorted}}`, &answer{200, `{"subject":"{s}-n","version":1,"id":"{id:n}","schema":{unsorted}}`, "it keeps the text, normalizing only to compare"}},
	{"POST /subjects/{s}-n?normalize=true {\"schema\":{sorted}}", 200, `{"subject":"{s}-n","version":1,"id":"{id:n}","schema":{sorted}}`, &answer{404, `{"error_code":40403,"message":"{any}"}`, "it does not put aliases in order"}},
}

var badRequests = []exchange{
	{"POST /subjects/{s}/versions {\"schema\":{broken}}", 422, `{"error_code":42201,"message":"{any}"}`, nil},
	{"POST /subjects/{s}/versions {\"schema\":{unknown}}", 422, `{"error_code":42201,"message":"{any}"}`, nil},
	{"POST /subjects/{s}-e/versions {\"schema\":\"\"}", 422, `{"error_code":42201,"message":"Empty schema"}`, &answer{200, `{"id":"{any}"}`, "it takes it, as the first of a subject"}},
	{"POST /subjects/{s}/versions {\"schema\":{A},\"references\":[{\"name\":\"x\",\"subject\":\"{s}-none\",\"version\":1}]}", 422, `{"error_code":42201,"message":"references are not kept here: write the schema in one piece"}`, nil},
	{"POST /subjects/{s}/versions no JSON", 400, `{"error_code":400,"message":"{any}"}`, &answer{400, `{any}`, "it answers in plain text"}},
	{"POST /subjects/{s}/versions {\"schema\":{A},\"id\":2147483646,\"version\":7}", 422, `{"error_code":42205,"message":"Subject {s} in context . is not in import mode"}`, &answer{200, `{"id":"{any}"}`, "it passes over an id that is given"}},
	{"POST /subjects/{s}-v/versions {\"schema\":{A},\"version\":2}", 422, `{"error_code":42201,"message":"Version is not one more than previous version"}`, &answer{200, `{"id":"{any}"}`, "it passes over a version that is given"}},
	{"POST /compatibility/subjects/{s}/versions/latest {\"schema\":{broken}}", 422, `{"error_code":42201,"message":"{any}"}`, nil},
	{"GET /schemas/ids/x", 404, `{"error_code":404,"message":"HTTP 404 Not Found"}`, &answer{404, `{"error_code":0,"message":"{any}"}`, "its code for what its framework answers is 0"}},
}

var levels = []exchange{
	{"POST /subjects/{s}/versions {\"schema\":{A}}", 200, `{"id":"{id:A}"}`, nil},
	{"GET /config", 200, `{"compatibilityLevel":"FULL_TRANSITIVE"}`, nil},
	{"GET /config/{s}", 404, `{"error_code":40408,"message":"Subject '{s}' does not have subject-level compatibility configured"}`, &answer{200, `{"compatibilityLevel":"NONE"}`, "it says NONE where there is none: Registry.Level asks its own API"}},
	{"GET /config/{s}?defaultToGlobal=true", 200, `{"compatibilityLevel":"FULL_TRANSITIVE"}`, &answer{200, `{"compatibilityLevel":"NONE"}`, "it does not know defaultToGlobal"}},
	{"PUT /config/{s} {\"compatibility\":\"BACKWARD\"}", 200, `{"compatibility":"BACKWARD"}`, nil},
	{"GET /config/{s}", 200, `{"compatibilityLevel":"BACKWARD"}`, nil},
	{"PUT /config/{s} {\"compatibility\":\"BACKWARD_TRANSITIVE\"}", 200, `{"compatibility":"BACKWARD_TRANSITIVE"}`, nil},
	{"PUT /config/{s} {\"compatibility\":\"FORWARD\"}", 200, `{"compatibility":"FORWARD"}`, nil},
	{"PUT /config/{s} {\"compatibility\":\"FORWARD_TRANSITIVE\"}", 200, `{"compatibility":"FORWARD_TRANSITIVE"}`, nil},
	{"PUT /config/{s} {\"compatibility\":\"FULL\"}", 200, `{"compatibility":"FULL"}`, nil},
	{"PUT /config/{s} {\"compatibility\":\"FULL_TRANSITIVE\"}", 200, `{"compatibility":"FULL_TRANSITIVE"}`, nil},
	{"PUT /config/{s} {\"compatibility\":\"SOME\"}", 422, `{"error_code":42203,"message":"Invalid compatibility level. Valid values are none, backward, forward, full, backward_transitive, forward_transitive, and full_transitive"}`, &answer{400, `{any}`, "it answers in plain text"}},
	{"GET /config/{s}", 200, `{"compatibilityLevel":"FULL_TRANSITIVE"}`, nil},
	{"DELETE /config/{s}", 200, `{"compatibilityLevel":"FULL_TRANSITIVE"}`, nil},
	{"PUT /config/{s} {\"compatibility\":\"FULL\",\"normalize\":true}", 200, `{"compatibility":"FULL","normalize":true}`, &answer{200, `{"compatibility":"FULL"}`, "it cannot be told to normalize always"}},
	{"GET /config/{s}", 200, `{"compatibilityLevel":"FULL","normalize":true}`, &answer{200, `{"compatibilityLevel":"FULL"}`, "it cannot be told to normalize always"}},
	{"PUT /config/{s} {\"compatibility\":\"NONE\"}", 200, `{"compatibility":"NONE","normalize":true}`, &answer{200, `{"compatibility":"NONE"}`, "it cannot be told to normalize always"}},
	{"POST /subjects/{s}/versions {\"schema\":{string}}", 200, `{"id":"{id:string}"}`, &answer{409, `{"error_code":409,"message":"{any}"}`, "NONE takes the subject's level away, and that of all holds: Registry.SetLevel uses its own API"}},
}

var incompatible = []exchange{
	{"POST /subjects/{s}/versions {\"schema\":{A}}", 200, `{"id":"{id:A}"}`, nil},
	{"POST /compatibility/subjects/{s}/versions {\"schema\":{B}}", 200, `{"is_compatible":true}`, &answer{200, `{"is_compatible":true,"reason":null}`, "it gives one text, reason, and that only when asked to be verbose"}},
	{"POST /compatibility/subjects/{s}/versions?verbose=true {\"schema\":{B}}", 200, `{"is_compatible":true,"messages":[]}`, &answer{200, `{"is_compatible":true,"reason":null}`, "it gives one text, reason, and that only when asked to be verbose"}},
	{"POST /compatibility/subjects/{s}/versions {\"schema\":{required}}", 200, `{"is_compatible":false}`, &answer{200, `{"is_compatible":false,"reason":null}`, "it gives one text, reason, and that only when asked to be verbose"}},
	{"POST /compatibility/subjects/{s}/versions/1 {\"schema\":{required}}", 200, `{"is_compatible":false}`, &answer{200, `{"is_compatible":false,"reason":null}`, "it gives one text, reason, and that only when asked to be verbose"}},
	{"POST /compatibility/subjects/{s}/versions/latest {\"schema\":{string}}", 200, `{"is_compatible":false}`, &answer{200, `{"is_compatible":false,"reason":null}`, "it gives one text, reason, and that only when asked to be verbose"}},
	{"POST /compatibility/subjects/{s}/versions/2 {\"schema\":{string}}", 404, `{"error_code":40402,"message":"Version 2 not found."}`, nil},
	{"POST /compatibility/subjects/{s}/versions?verbose=true {\"schema\":{required}}", 200, `{"is_compatible":false,"messages":[
		"{errorType:'READER_FIELD_MISSING_DEFAULT_VALUE', description:'The field 'b' at path '/fields/1' in the new schema has no default value and is missing in the old schema', additionalInfo:'b'}",
		"{oldSchemaVersion: 1}", "{oldSchema: '{\"type\":\"record\",\"name\":\"{R}\",\"fields\":[{\"name\":\"a\",\"type\":\"long\"}]}'}",
		"{validateFields: 'false', compatibility: 'FULL_TRANSITIVE'}"]}`, &answer{200, `{"is_compatible":false,"reason":"{any}"}`, "it gives one text, reason, and that only when asked to be verbose"}},
	{"POST /subjects/{s}/versions {\"schema\":{string}}", 409, `{"error_code":40901,"message":"{any}"}`, &answer{409, `{"error_code":409,"message":"{any}"}`, "its code is Confluent's until 2025; the status tells"}},
	{"POST /subjects/{s}/versions {\"schema\":{required}}", 409, `{"error_code":40901,"message":"{any}"}`, &answer{409, `{"error_code":409,"message":"{any}"}`, "its code is Confluent's until 2025; the status tells"}},
	{"GET /subjects/{s}/versions", 200, `[1]`, nil},
}

var deleting = []exchange{
	{"POST /subjects/{s}/versions {\"schema\":{A}}", 200, `{"id":"{id:A}"}`, nil},
	{"POST /subjects/{s}/versions {\"schema\":{B}}", 200, `{"id":"{id:B}"}`, nil},
	{"DELETE /subjects/{s}/versions/2?permanent=true", 404, `{"error_code":40407,"message":"Subject '{s}' Version 2 was not deleted first before being permanently deleted"}`, &answer{409, `{"error_code":40407,"message":"{any}"}`, "its status is 409, with Confluent's code"}},
	{"DELETE /subjects/{s}/versions/2", 200, `2`, nil},
	{"DELETE /subjects/{s}/versions/2", 404, `{"error_code":40406,"message":"Subject '{s}' Version 2 was soft deleted.Set permanent=true to delete permanently"}`, &answer{409, `{"error_code":40406,"message":"{any}"}`, "its status is 409, with Confluent's code"}},
	{"DELETE /subjects/{s}/versions/3", 404, `{"error_code":40402,"message":"Version 3 not found."}`, nil},
	{"GET /subjects/{s}/versions", 200, `[1]`, nil},
	{"GET /subjects/{s}/versions?deleted=true", 200, `[1,2]`, nil},
	{"GET /subjects/{s}/versions/2", 404, `{"error_code":40402,"message":"Version 2 not found."}`, nil},
	{"GET /subjects/{s}/versions/2?deleted=true", 200, `{"subject":"{s}","version":2,"id":"{id:B}","schema":{B}}`, nil},
	{"GET /schemas/ids/{id:B}", 200, `{"schema":{B}}`, nil},
	{"DELETE /subjects/{s}/versions/2?permanent=true", 200, `2`, nil},
	{"GET /subjects/{s}/versions?deleted=true", 200, `[1]`, nil},
	{"DELETE /subjects/{s}?permanent=true", 404, `{"error_code":40405,"message":"Subject '{s}' was not deleted first before being permanently deleted"}`, &answer{409, `{"error_code":40405,"message":"{any}"}`, "its status is 409, with Confluent's code"}},
	{"DELETE /subjects/{s}", 200, `[1]`, nil},
	{"DELETE /subjects/{s}", 404, `{"error_code":40404,"message":"Subject '{s}' was soft deleted.Set permanent=true to delete permanently"}`, nil},
	{"GET /subjects/{s}/versions", 404, `{"error_code":40401,"message":"Subject '{s}' not found."}`, nil},
	{"POST /subjects/{s} {\"schema\":{A}}", 404, `{"error_code":40401,"message":"Subject '{s}' not found."}`, &answer{404, `{"error_code":40403,"message":"{any}"}`, "it knows the subject still"}},
	{"POST /subjects/{s}?deleted=true {\"schema\":{A}}", 200, `{"subject":"{s}","version":1,"id":"{id:A}","schema":{A}}`, nil},
	{"DELETE /subjects/{s}?permanent=true", 200, `[1]`, nil},
	{"GET /subjects/{s}/versions?deleted=true", 404, `{"error_code":40401,"message":"Subject '{s}' not found."}`, nil},
}

var modes = []exchange{
	{"GET /mode", 200, `{"mode":"READWRITE"}`, noMode},
	{"GET /mode/{s}?defaultToGlobal=true", 200, `{"mode":"READWRITE"}`, noMode},
	{"PUT /mode/{s} {\"mode\":\"SOME\"}", 422, `{"error_code":42204,"message":"{any}"}`, noMode},
	{"PUT /mode/{s} {\"mode\":\"READONLY\"}", 200, `{"mode":"READONLY"}`, noMode},
	{"GET /mode/{s}", 200, `{"mode":"READONLY"}`, noMode},
	{"POST /subjects/{s}/versions {\"schema\":{A}}", 422, `{"error_code":42205,"message":"Subject {s} in context . is in read-only mode"}`, &answer{200, `{"id":"{id:A}"}`, "it has no modes"}},
	{"PUT /config/{s} {\"compatibility\":\"FULL\"}", 422, `{"error_code":42205,"message":"Subject {s} in context . is in read-only mode"}`, &answer{200, `{"compatibility":"FULL"}`, "it has no modes"}},
	{"PUT /mode/{s} {\"mode\":\"IMPORT\"}", 200, `{"mode":"IMPORT"}`, noMode},
	{"POST /subjects/{s}/versions {\"schema\":{A}}", 422, `{"error_code":42205,"message":"Subject {s} in context . is not in read-write mode"}`, &answer{200, `{"id":"{id:A}"}`, "it has no modes"}},
	{"POST /subjects/{s}/versions {\"schema\":{A},\"id\":2147483600,\"version\":7}", 200, `{"id":2147483600}`, &answer{200, `{"id":"{id:A}"}`, "it passes over an id that is given: Registry.Import uses its archives"}},
	{"GET /subjects/{s}/versions/7", 200, `{"subject":"{s}","version":7,"id":2147483600,"schema":{A}}`, &answer{404, `{"error_code":40402,"message":"{any}"}`, "it passes over a version that is given"}},
	{"POST /subjects/{s}/versions {\"schema\":{string},\"id\":2147483600,\"version\":8}", 422, `{"error_code":42205,"message":"Overwrite new schema with id 2147483600 in context . is not permitted."}`, &answer{409, `{"error_code":409,"message":"{any}"}`, "it passes over an id that is given, and compares"}},
	{"POST /subjects/{s}/versions {\"schema\":{string},\"id\":2147483601,\"version\":8}", 200, `{"id":2147483601}`, &answer{409, `{"error_code":409,"message":"{any}"}`, "it passes over an id that is given, and compares"}},
	{"DELETE /mode/{s}", 200, `{"mode":"IMPORT"}`, noMode},
	{"PUT /mode/{s} {\"mode\":\"IMPORT\"}", 422, `{"error_code":42205,"message":"Cannot import since found existing subjects"}`, noMode},
	{"PUT /mode/{s}?force=true {\"mode\":\"IMPORT\"}", 200, `{"mode":"IMPORT"}`, noMode},
	{"PUT /mode/{s} {\"mode\":\"READWRITE\"}", 200, `{"mode":"READWRITE"}`, noMode},
}

var listsAndPaths = []exchange{
	{"POST /subjects/{s}/versions {\"schema\":{A}}", 200, `{"id":"{id:A}"}`, nil},
	{"POST /subjects/{s}/versions {\"schema\":{B}}", 200, `{"id":"{id:B}"}`, nil},
	{"GET /subjects?subjectPrefix={s}", 200, `["{s}"]`, &answer{200, `{any}`, "it neither knows prefixes nor pages"}},
	{"GET /subjects?subjectPrefix=:*:{s}", 200, `["{s}"]`, &answer{200, `{any}`, "it neither knows prefixes nor pages"}},
	{"GET /subjects?subjectPrefix={s}&offset=1", 200, `[]`, &answer{200, `{any}`, "it neither knows prefixes nor pages"}},
	{"GET /subjects/{s}/versions?limit=1", 200, `[1]`, &answer{200, `[1,2]`, "it neither knows prefixes nor pages"}},
	{"GET /subjects/{s}/versions?offset=1", 200, `[2]`, &answer{200, `[1,2]`, "it neither knows prefixes nor pages"}},
	{"GET /schemas?subjectPrefix={s}", 200, `[{"subject":"{s}","version":1,"id":"{id:A}","schema":{A}},{"subject":"{s}","version":2,"id":"{id:B}","schema":{B}}]`, noPath},
	{"GET /schemas?subjectPrefix={s}&latestOnly=true", 200, `[{"subject":"{s}","version":2,"id":"{id:B}","schema":{B}}]`, noPath},
	{"GET /schemas?subjectPrefix={s}&offset=1&limit=5", 200, `[{"subject":"{s}","version":2,"id":"{id:B}","schema":{B}}]`, noPath},
	{"DELETE /subjects/{s}/versions/2", 200, `2`, nil},
	{"GET /schemas?subjectPrefix={s}&latestOnly=true&deleted=true", 200, `[{"subject":"{s}","version":2,"id":"{id:B}","schema":{B}}]`, noPath},
	{"GET /schemas?subjectPrefix={s}", 200, `[{"subject":"{s}","version":1,"id":"{id:A}","schema":{A}}]`, noPath},
	{"GET /schemas/types", 200, `["AVRO"]`, &answer{200, `["JSON","PROTOBUF","AVRO"]`, "it keeps more than Avro"}},
	{"GET /contexts", 200, `["."]`, &answer{200, `[":.:"]`, "it writes the default context with colons"}},
	{"GET /no/such/path", 404, `{"error_code":404,"message":"HTTP 404 Not Found"}`, noPath},
	{"PATCH /subjects", 405, `{"error_code":405,"message":"HTTP 405 Method Not Allowed"}`, &answer{405, `{"error_code":0,"message":"{any}"}`, "its code for what its framework answers is 0"}},
	{"DELETE /subjects", 405, `{"error_code":405,"message":"HTTP 405 Method Not Allowed"}`, &answer{405, `{"error_code":0,"message":"{any}"}`, "its code for what its framework answers is 0"}},
}
