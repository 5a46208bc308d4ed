"""The derivatives of operations in words, where a formula would not say it better."""

WORDS = {
    "reshape": "linear: the gradient takes the shape of x", "expand_dims": "linear: the gradient takes the shape of x",
    "squeeze": "linear: the gradient takes the shape of x", "broadcast_to": "linear: the gradient is summed over the copies",
    "tile": "linear: the gradient is summed over the copies", "repeat": "linear: the gradient is summed over the copies",
    "transpose": "linear: the gradient, its axes put back", "flip": "linear: the gradient, reversed back",
    "roll": "linear: the gradient, shifted back", "concat": "linear: each value gets its part of the gradient",
    "stack": "linear: each value gets its part of the gradient", "pad": "linear: the gradient without the border",
    "index": "linear: the gradient at the entries that are taken, 0 elsewhere", "unindex": "linear: the gradient at the entries of x",
    "diagonal": "linear: the gradient on the diagonal", "embed_diagonal": "linear: the diagonal of the gradient",
    "take_along": "linear: the gradient is added up at the indices", "scatter_along": "linear in g: the gradient at the indices", "scatter_add": "linear in g: the gradient at the indices",
    "expand_delta": "linear: the diagonal of the gradient", "collect_delta": "linear: the gradient on the diagonal",
    "gather": "linear: the gradient is added up at the indices", "sort": "linear: the gradient, put back in the order of x",
    "sum": "linear: the gradient is spread over the summed entries",
    "mean": "linear: the gradient over n is spread over the n entries",
    "cumsum": "linear: the gradient, summed from the other end", "tril": "linear: the gradient, with the same zeros",
    "triu": "linear: the gradient, with the same zeros", "cast": "d/dx = 1; to an integer or bool None",
    "identity": "d/dx = 1", "diag": "linear: diag of the gradient", "trace": "linear: the gradient on the diagonal",
    "matmul": "linear in each operand: g @ b.T for a, a.T @ g for b",
    "outer": "linear in each operand: g @ b for a, g.T @ a for b",
    "einsum": "linear in each operand: einsum of the gradient and the others", "full": "the value gets the sum of the gradient",
    "dot": "linear in each operand: for vectors b * g for a, a * g for b",
    "random_normal": "linear in mean and stddev, as mean + stddev * z with z drawn from N(0, 1)",
    "random_uniform": "linear in minval and maxval, as minval + (maxval - minval) * z with z drawn from U(0, 1)",
    "prod": "for each entry the product of the others", "cumprod": "for each entry the products of the others",
    "polygamma": "d/dx = polygamma(n + 1, x)",
    "singular_vectors": "u @ (f * (p*s + s*p.T)) for those on the left, p = u.T @ da @ v, f[i, j] = 1/(s[j]^2 - s[i]^2); likewise on the right",
    "spectral": "linear in g; by a v @ (f * (v.T @ da @ v)) @ v.T, f the divided differences of g",
    "singular_function": "linear in g; by a with the divided differences of g",
    "expm_frechet": "linear in e; by a that of the block matrix [[a, e], [0, a]]",
    **dict.fromkeys(("eigh", "svd", "qr", "slogdet"), "that of each value"),
    "top_k": "linear: the gradient of the values at their places in x", "meshgrid": "linear: the gradient is summed over the copies",
    "beta_density": "d/dx = y * ((a - 1)/x - (b - 1)/(1 - x)), y the density; by a and b, too",
    "bessel_ie": "d/dx = bessel_ie(n, x, order + 1)",
    "bessel_j": "d/dx = (bessel_j(n - 1, x) - bessel_j(n + 1, x)) / 2, for n = 0 -bessel_j(1, x)", "add": "d/da = 1, d/db = 1", "subtract": "d/da = 1, d/db = -1", "neg": "d/dx = -1",
    "custom_gradient": "that of its own rule, which is linear in the tangents", "relu": "that of where(x > 0, x, 0)", "max": "1 for the largest entry, shared by ties",
    "min": "1 for the smallest entry, shared by ties", **dict.fromkeys(
        ("root", "minimize"), "dx = -J^-1 (df/dp) dp for what f uses, with J = df/dx (minimize: f is the gradient, J the Hessian)"
    ), **dict.fromkeys(
        ("gradients", "jacobian", "hessian", "jvp", "hvp", "taylor", "iterate", "scan", "map", "odeint"),
        "an expression like any other, differentiable again"
    ),
    "cholesky": "dy = y @ f(solve(y, solve(y, (da + da.T) / 2).T).T), f: lower triangle, half the diagonal",
}  # fmt: skip
"""By name; g is the gradient of the result."""
