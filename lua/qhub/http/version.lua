-- The version, in one place: `qhub._VERSION`, the `User-Agent` and releases read it here.
return "0.1.0"
