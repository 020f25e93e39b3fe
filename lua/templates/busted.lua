-- spate test reads this.
return { default = { ROOT = { "spec" }, pattern = "_spec" } }
