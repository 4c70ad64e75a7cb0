/* What the compiler's trace compiles: a binary search tree in a fixed pool. */
struct node {
    struct node *left, *right;
    int key;
};

static struct node pool[64];
static int used;

struct node *insert(struct node *tree, int key)
{
    if (!tree) {
        tree = &pool[used++];
        tree->key = key;
        return tree;
    }
    if (key < tree->key)
        tree->left = insert(tree->left, key);
    else
        tree->right = insert(tree->right, key);
    return tree;
}

int sum(const struct node *tree)
{
    return tree ? sum(tree->left) + tree->key + sum(tree->right) : 0;
}
