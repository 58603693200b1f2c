// The imports that come from wit/ are the host's to answer, so there is nothing of them to bundle.
export default { external: /^[a-z-]+:/ };
